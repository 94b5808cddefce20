"""The U-Net of the label-frugal literature ("HiLab": SSL4MIS, WSL4MIS, PyMIC, BCP, UniMatch), in 2D and 3D.

Ronneberger et al., MICCAI 2015, in the form those codes share: 16 to 256 channels, batch norm, LeakyReLU, dropout that
grows with depth in the encoder, a 3x3 head. Upwards either a 1x1 convolution and linear interpolation (1.81 M
parameters in 2D: the plain U-Net of those tables) or a transposed convolution (1.94 M: their multi-output variants).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn

from baselines.lean import MaxPool2d, MaxPool3d, activated

Stride = tuple[int, ...]
WAYS = ("linear", "transposed", "nearest")  # a decoder can go up
GROUPS = 8  # of group norm, or the largest divisor of the channels below


def pooling(patch: Sequence[int], spacing: Sequence[float], levels: int) -> tuple[Stride, ...]:
    """The factor by which each axis is halved on the way to each deeper level.

    An axis is halved only while its spacing is within twice the finest and at least 4 voxels would remain, so that
    thick slices are not pooled before thin pixels have caught up (as in nnU-Net).
    """
    size, step, strides = list(patch), list(spacing), []
    for _ in range(levels - 1):
        finest = min(step)
        halve = [s // 2 >= 4 and mm <= 2 * finest for s, mm in zip(size, step, strict=True)]
        strides.append(tuple(2 if h else 1 for h in halve))
        size = [s // 2 if h else s for s, h in zip(size, halve, strict=True)]
        step = [mm * 2 if h else mm for mm, h in zip(step, halve, strict=True)]
    return tuple(strides)


class Block(nn.Sequential):
    """Convolution, norm, LeakyReLU, dropout, convolution, norm, LeakyReLU."""

    def __init__(self, ndim: int, channels: tuple[int, int], dropout: float, norm: str = "batch") -> None:
        conv = _layers(ndim)[0]
        before, after = channels
        super().__init__(
            conv(before, after, 3, padding=1),
            _norm(ndim, after, norm),
            nn.LeakyReLU(inplace=True),
            nn.Dropout(dropout),
            conv(after, after, 3, padding=1),
            _norm(ndim, after, norm),
            nn.LeakyReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, C, *S) -> (B, C', *S)."""
        conv, norm, activation, dropout, *rest = self
        x = activated(norm(conv(x)), cast(nn.LeakyReLU, activation), dropout)
        for layer in rest:
            x = layer(x)
        return x


class InterpolatedUp(nn.Module):
    """1x1 convolution, then interpolation: linear with aligned corners, or of the nearest voxel.

    The linear one's gradient has no deterministic CUDA form; deterministic runs there take transposed convolutions.
    """

    def __init__(self, channels: tuple[int, int], stride: Stride, way: str) -> None:
        super().__init__()
        self.conv = _layers(len(stride))[0](*channels, 1)
        self.stride = stride
        linear = "bilinear" if len(stride) == 2 else "trilinear"
        self.mode = linear if way == "linear" else "nearest"
        self.align = True if way == "linear" else None

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, C, *S) -> (B, C', *S * stride)."""
        size = [s * n for s, n in zip(x.shape[2:], self.stride, strict=True)]
        return F.interpolate(self.conv(x), size=size, mode=self.mode, align_corners=self.align)


Change = Callable[[Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Form:
    """What a U-Net has beyond its levels."""

    ways: tuple[str, ...] = ("linear",)  # of `WAYS`, how each decoder goes up
    scales: int = 1  # on how many levels of a decoder, finest first, there is a head
    norm: str = "batch"  # or "group"


PLAIN = Form()


class Decoder(nn.Module):
    """Features of every level, finest first, to logits of each scale, finest first."""

    def __init__(self, classes: int, widths: Sequence[int], strides: Sequence[Stride], way: str, form: Form) -> None:
        super().__init__()
        ndim = len(strides[0])
        conv = _layers(ndim)[0]
        deep = list(zip(widths[:0:-1], widths[-2::-1], reversed(strides), strict=True))
        self.ups = nn.ModuleList([_up((below, here), stride, way) for below, here, stride in deep])
        self.blocks = nn.ModuleList([Block(ndim, (2 * here, here), 0.0, form.norm) for _, here, _ in deep])
        self.head = conv(widths[0], classes, 3, padding=1)
        self.coarse = nn.ModuleList([conv(width, classes, 3, padding=1) for width in widths[1 : form.scales]])

    def forward(self, features: Sequence[Tensor], changes: Sequence[Change] = ()) -> list[Tensor]:
        """One `change` for each scale, finest first, is made to what its head reads.

        Shape: (B, width, *S / stride) per level -> (B, K, *S / stride) per scale.
        """
        x, found = features[-1], []
        for up, block, skip in zip(self.ups, self.blocks, reversed(features[:-1]), strict=True):
            x = block(torch.cat((skip, up(x)), 1))
            found.append(x)
        heads = [self.head, *self.coarse]
        read = found[: -len(heads) - 1 : -1]
        if changes:
            read = [change(x) for change, x in zip(changes, read, strict=True)]
        return [head(x) for head, x in zip(heads, read, strict=True)]


class UNet(nn.Module):
    """U-Net of any depth; `strides` says which axes each level halves."""

    image_level = False  # its finest features are learnt, not the image itself

    def __init__(
        self,
        channels: tuple[int, int],
        widths: Sequence[int],
        dropout: Sequence[float],
        strides: Sequence[Stride],
        form: Form = PLAIN,
    ) -> None:
        super().__init__()
        before, classes = channels
        ndim = len(strides[0])
        pool = MaxPool2d if ndim == 2 else MaxPool3d
        ins = (before, *widths[:-1])
        levels = zip(ins, widths, dropout, strict=True)
        self.blocks = nn.ModuleList([Block(ndim, (i, o), p, form.norm) for i, o, p in levels])
        self.pools = nn.ModuleList([pool(stride) for stride in strides])
        first, *others = (Decoder(classes, widths, strides, way, form) for way in form.ways)
        self.decoder = first
        self.others = nn.ModuleList(others)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Encoder features, finest first."""
        found = [self.blocks[0](image)]
        for pool, block in zip(self.pools, self.blocks[1:], strict=True):
            found.append(block(pool(found[-1])))
        return found

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale by the decoder of that number."""
        found: list[Tensor] = [self.decoder, *self.others][number](features, changes)
        return found

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S), each edge a multiple of the product of its strides -> (B, K, *S) and coarser scales."""
        return self.decode(self.encode(image))


def _up(channels: tuple[int, int], stride: Stride, way: str) -> nn.Module:
    if way == "transposed":
        return _layers(len(stride))[1](*channels, stride, stride)
    return InterpolatedUp(channels, stride, way)


def _norm(ndim: int, channels: int, kind: str) -> nn.Module:
    if kind == "group":
        return nn.GroupNorm(max(n for n in range(1, GROUPS + 1) if channels % n == 0), channels)
    return nn.BatchNorm2d(channels) if ndim == 2 else nn.BatchNorm3d(channels)


def _layers(ndim: int) -> tuple[type[nn.Module], type[nn.Module]]:
    return (nn.Conv2d, nn.ConvTranspose2d) if ndim == 2 else (nn.Conv3d, nn.ConvTranspose3d)
