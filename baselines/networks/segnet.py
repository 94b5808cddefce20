"""SegNet: a decoder that puts values back where the encoder's pooling found them."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from baselines.config import NetSpec
from baselines.halves import Change, Halves, Ladder, Parts
from baselines.network import About, Built

ABOUT = About(paper="Badrinarayanan et al., PAMI 2017", ndims=(2,), code="ours")


def build(
    spec: NetSpec,
    parts: Parts,
    widths: Sequence[int] = (64, 128, 256, 512, 512),
    convolutions: Sequence[int] = (2, 2, 3, 3, 3),
) -> Built:
    """The encoder is that of VGG-16 without its classifier, the decoder its mirror image, batch norm after each layer.

    `widths` and `convolutions`: channels and layers of each level, finest first. The last layer of the decoder is the
    head, 3 x 3. What the encoder knows of fine places reaches the decoder by indices of maxima alone.
    """
    blocks = list(zip((spec.in_channels, *widths[:-1]), widths, convolutions, strict=True))
    # Above the finest level, a block of the decoder ends with the width of the next finer level.
    steps = [(widths[level], widths[max(level - 1, 0)], convolutions[level]) for level in range(len(widths))][::-1]
    steps[-1] = (widths[0], widths[0], convolutions[0] - 1)

    def decoder() -> nn.Module:
        stages = [_Unpool(_layers([before] * count + [after])) for before, after, count in steps]
        return _Decoder(
            stages,
            [after for _, after, _ in steps],
            parts.scales,
            lambda channels: nn.Conv2d(channels, spec.classes, 3, padding=1),
        )

    encoder = _Encoder([_layers([before] + [after] * count) for before, after, count in blocks])
    return Halves(encoder, (decoder() for _ in range(parts.number))), (2 ** len(widths),) * 2


class _Encoder(nn.Module):
    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.pool = nn.MaxPool2d(2, return_indices=True)

    def forward(self, image: Tensor) -> list[Tensor]:
        """The deepest features, then indices of maxima, finest first, as (B, C, places): they stand for no place."""
        x, found = image, []
        for block in self.blocks:
            x, indices = self.pool(block(x))
            found.append(indices.flatten(2))
        return [x, *found]


class _Decoder(Ladder):
    def forward(self, features: Sequence[Tensor], changes: Sequence[Change] = ()) -> list[Tensor]:
        deepest, *indices = features
        return super().forward([*indices, deepest], changes)


class _Unpool(nn.Module):
    """Max-unpooling by 2, then layers."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        """Shape: (B, C, X, Y) and indices (B, C, X * Y) -> (B, C', 2 X, 2 Y)."""
        batch, channels, rows, columns = x.shape
        # Windows do not overlap, so no place is written twice: the same values on any device, in any precision.
        sparse = torch.zeros(batch, channels, 4 * rows * columns, dtype=x.dtype, device=x.device)
        sparse = sparse.scatter(2, indices, x.flatten(2))
        found: Tensor = self.layers(sparse.view(batch, channels, 2 * rows, 2 * columns))
        return found


def _layers(widths: Sequence[int]) -> nn.Sequential:
    """3 x 3 convolution, batch norm, ReLU, for each step from one width to the next."""
    found: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        found += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*found)
