"""Networks that do not segment: one answer for a patch, a change of the image, the image out of a narrow code."""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from baselines.bodies import make_body, named, refusing
from baselines.config import NetSpec
from baselines.halves import ONE, Body, Change, Parts
from baselines.unet import Block, pooling, way_up
from converters.errors import BenchError


class Pooled(nn.Module):
    """An encoder, the mean of its deepest features over the patch, a linear layer."""

    def __init__(self, body: nn.Module, spec: NetSpec, multiple: Sequence[int]) -> None:
        super().__init__()
        self.body = body
        self.image_level = cast(Body, body).image_level
        self.head = nn.Linear(_without_decoder(body, spec, multiple), spec.classes)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first."""
        return cast(Body, self.body).encode(image)

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Shape: levels (B, C, ...) -> [(B, K)]."""
        deepest = _deepest(features, features[0])
        return [self.head(deepest.mean(tuple(range(2, deepest.ndim))))]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S) -> [(B, K)]."""
        return self.decode(self.encode(image))


class Residual(nn.Module):
    """An encoder-decoder whose output is added to the image; the image is the first of its features."""

    image_level = True

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def encode(self, image: Tensor) -> list[Tensor]:
        """The image, then the features of each level, finest first."""
        return [image, *cast(Body, self.body).encode(image)]

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Shape: levels -> [(B, C, *S)]."""
        image, *levels = features
        return [image + change for change in cast(Body, self.body).decode(levels, number, changes)]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S) -> [(B, C, *S)]."""
        return self.decode(self.encode(image))


class Autoencoder(nn.Module):
    """The encoder of our U-Net, a code of so many numbers for the patch, and the way up again without skips.

    Fully connected to and from the code, as in DLTK's convolutional autoencoder (Pawlowski et al., 2017): nothing of
    the image passes by. A patch has the size that it was made for.
    """

    image_level = False

    def __init__(self, body: nn.Module, spec: NetSpec, multiple: Sequence[int]) -> None:
        super().__init__()
        config, ndim = spec.config, len(spec.patch)
        strides = pooling(spec.patch, spec.spacing, len(config.widths))
        self.encoder = body
        deep = [-(-edge // by) for edge, by in zip(spec.patch, multiple, strict=True)]
        self.deep = (_without_decoder(body, spec, multiple), *deep)
        self.code = nn.Linear(math.prod(self.deep), config.latent)
        self.opened = nn.Linear(config.latent, math.prod(self.deep))
        steps = list(zip(config.widths[:0:-1], config.widths[-2::-1], reversed(strides), strict=True))
        self.ups = nn.ModuleList([way_up((below, here), stride, config.upsampling) for below, here, stride in steps])
        self.blocks = nn.ModuleList([Block(ndim, (here, here), 0.0, config.norm) for _, here, _ in steps])
        self.head = (nn.Conv2d if ndim == 2 else nn.Conv3d)(config.widths[0], spec.classes, 3, padding=1)

    def encode(self, image: Tensor) -> list[Tensor]:
        """The code alone. Shape: (B, C, *S) -> [(B, latent)]."""
        return [self.code(cast(Body, self.encoder).encode(image)[-1].flatten(1))]

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Shape: [(B, latent)] -> [(B, C, *S)]."""
        x = self.opened(features[0]).view(-1, *self.deep)
        for up, block in zip(self.ups, self.blocks, strict=True):
            x = block(up(x))
        return [self.head(x)]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S) -> [(B, C, *S)]."""
        return self.decode(self.encode(image))


def make(spec: NetSpec, parts: Parts = ONE) -> tuple[nn.Module, tuple[int, ...]]:
    """A new network, a `Body`, by the head of the spec, and what the edges of its input must be multiples of.

    Raises:
        BenchError: this architecture has no such head, or a method wants more of it than one decoder and one scale.
    """
    if spec.head == "voxel":
        return make_body(spec, parts)
    if parts.number != 1 or parts.scales != 1:
        raise BenchError(f"a network with head '{spec.head}' has one decoder and one scale")
    if spec.head == "code" and spec.config.arch != "unet":
        raise BenchError(f"{named(spec)} has skips, and no code", mend="take train.net.arch = 'unet'")
    body, multiple = make_body(spec, parts)
    if spec.head == "pooled":
        return Pooled(body, spec, multiple), multiple
    return (Residual(body) if spec.head == "residual" else Autoencoder(body, spec, multiple)), multiple


def expected(spec: NetSpec, count: int) -> tuple[int, ...]:
    """The shape of what such a network gives for so many patches."""
    return (count, spec.classes) if spec.head == "pooled" else (count, spec.classes, *spec.patch)


def _deepest(features: Sequence[Tensor], image: Tensor) -> Tensor:
    """The last level that stands for places: a transformer's tokens may follow, and a level may have no channels."""
    return [level for level in features if level.ndim == image.ndim and level.shape[1]][-1]


def _without_decoder(body: nn.Module, spec: NetSpec, multiple: Sequence[int]) -> int:
    """Take away the parts that no feature comes from; the channels of the deepest level."""
    edges = [-(-edge // by) * by for edge, by in zip(spec.patch, multiple, strict=True)]
    image = torch.zeros(1, spec.in_channels, *edges)
    body.eval()
    with refusing(spec), torch.enable_grad():
        features = cast(Body, body).encode(image)
        torch.autograd.backward([level.sum() for level in features if level.requires_grad])
    for name, part in list(body.named_children()):
        own = list(part.parameters())
        if own and all(one.grad is None for one in own):
            setattr(body, name, nn.Identity())
    body.zero_grad(set_to_none=True)
    body.train()
    return _deepest(features, image).shape[1]
