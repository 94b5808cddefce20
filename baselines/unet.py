"""The U-Net of the label-frugal literature ("HiLab": SSL4MIS, WSL4MIS, PyMIC, BCP, UniMatch), in 2D and 3D.

Ronneberger et al., MICCAI 2015, in the form those codes share: 16 to 256 channels, batch norm, LeakyReLU, dropout that
grows with depth in the encoder, a 3x3 head. Upwards either a 1x1 convolution and linear interpolation (1.81 M
parameters in 2D: the plain U-Net of those tables) or a transposed convolution (1.94 M: their multi-output variants).
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn

from baselines.config import NetSpec
from baselines.halves import Change, Parts, headed
from baselines.lean import activated
from converters.errors import BenchError, unknown_name

Stride = tuple[int, ...]
WAYS = ("linear", "transposed", "nearest")  # a decoder can go up
GROUPS = 8  # of group norm, or the largest divisor of the channels below
_LEAST = 4  # voxels that an axis keeps
_ACTIVATIONS = {"leaky": nn.LeakyReLU, "relu": nn.ReLU, "elu": nn.ELU}


def pooling(patch: Sequence[int], spacing: Sequence[float], levels: int) -> tuple[Stride, ...]:
    """The factor by which each axis is halved on the way to each deeper level, as nnU-Net plans it.

    An axis is open while 4 voxels would remain. Of the open ones those are halved whose spacing is less than twice the
    finest of them, so that thick slices are not pooled before thin pixels have caught up, and what is too thin to be
    halved holds nothing up. An axis is halved alone from 12 voxels on.
    """
    size, step, strides = list(patch), list(spacing), []
    for _ in range(levels - 1):
        room = [s // 2 >= _LEAST for s in size]
        finest = min((mm for mm, fits in zip(step, room, strict=True) if fits), default=0.0)
        halve = [fits and mm < 2 * finest for mm, fits in zip(step, room, strict=True)]
        if sum(halve) == 1 and size[halve.index(True)] < 3 * _LEAST:
            halve = [False] * len(halve)
        strides.append(tuple(2 if h else 1 for h in halve))
        size = [s // 2 if h else s for s, h in zip(size, halve, strict=True)]
        step = [mm * 2 if h else mm for mm, h in zip(step, halve, strict=True)]
    return tuple(strides)


class Block(nn.Sequential):
    """Convolution, norm, activation, dropout, convolution, norm, activation."""

    def __init__(
        self, ndim: int, channels: tuple[int, int], dropout: float, norm: str = "batch", activation: str = "leaky"
    ) -> None:
        conv = _layers(ndim)[0]
        before, after = channels
        super().__init__(
            conv(before, after, 3, padding=1),
            _norm(ndim, after, norm),
            _ACTIVATIONS[activation](inplace=True),
            nn.Dropout(dropout),
            conv(after, after, 3, padding=1),
            _norm(ndim, after, norm),
            _ACTIVATIONS[activation](inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, C, *S) -> (B, C', *S)."""
        conv, norm, activation, dropout, *rest = self
        x = norm(conv(x))
        x = activated(x, activation, dropout) if isinstance(activation, nn.LeakyReLU) else dropout(activation(x))
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


@dataclasses.dataclass(frozen=True)
class Form:
    """What a U-Net has beyond its levels."""

    ways: tuple[str, ...] = ("linear",)  # of `WAYS`, how each decoder goes up
    scales: int = 1  # on how many levels of a decoder, finest first, there is a head
    norm: str = "batch"  # or "group", or "none"
    activation: str = "leaky"  # or "relu", or "elu"
    dropouts: tuple[float, ...] = ()  # of each level of a decoder, deepest first; without any, there is none
    head: int = 3  # edge of its kernel


PLAIN = Form()


class Decoder(nn.Module):
    """Features of every level, finest first, to logits of each scale, finest first."""

    def __init__(self, classes: int, widths: Sequence[int], strides: Sequence[Stride], way: str, form: Form) -> None:
        super().__init__()
        ndim = len(strides[0])
        conv = _layers(ndim)[0]
        deep = list(zip(widths[:0:-1], widths[-2::-1], reversed(strides), strict=True))
        self.ups = nn.ModuleList([way_up((below, here), stride, way) for below, here, stride in deep])
        levels = zip(deep, form.dropouts or (0.0,) * len(deep), strict=True)
        self.blocks = nn.ModuleList(
            [Block(ndim, (2 * here, here), p, form.norm, form.activation) for (_, here, _), p in levels]
        )
        heads = [conv(width, classes, form.head, padding=form.head // 2) for width in widths[: form.scales]]
        self.head = heads[0]
        self.coarse = nn.ModuleList(heads[1:])

    def forward(self, features: Sequence[Tensor], changes: Sequence[Change] = ()) -> list[Tensor]:
        """One `change` for each scale, finest first, is made to what its head reads.

        Shape: (B, width, *S / stride) per level -> (B, K, *S / stride) per scale.
        """
        x, found = features[-1], []
        for up, block, skip in zip(self.ups, self.blocks, reversed(features[:-1]), strict=True):
            x = block(torch.cat((skip, up(x)), 1))
            found.append(x)
        return headed([self.head, *self.coarse], found[::-1], changes)


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
        pool = nn.MaxPool2d if ndim == 2 else nn.MaxPool3d
        ins = (before, *widths[:-1])
        levels = zip(ins, widths, dropout, strict=True)
        self.blocks = nn.ModuleList([Block(ndim, (i, o), p, form.norm, form.activation) for i, o, p in levels])
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


def fitted(
    spec: NetSpec, parts: Parts, levels: tuple[Sequence[int], Sequence[float]], form: Form
) -> tuple[UNet, tuple[int, ...]]:
    """A U-Net for such patches, and what the edges of its input must be multiples of.

    `levels`: widths and dropouts. Decoders of which nothing is said go up in the one way of the form.

    Raises:
        UsageError: no such way up.
        BenchError: fewer levels than scales.
    """
    widths, dropout = levels
    if parts.scales >= len(widths):
        raise BenchError(f"a U-Net of {len(widths)} levels has no {parts.scales} to put heads on")
    ways = form.ways * parts.decoders if isinstance(parts.decoders, int) else parts.decoders
    for way in ways:
        if way not in WAYS:
            raise unknown_name("way up", way, WAYS)
    strides = pooling(spec.patch, spec.spacing, len(widths))
    form = dataclasses.replace(form, ways=ways, scales=parts.scales)
    body = UNet((spec.in_channels, spec.classes), widths, dropout, strides, form)
    return body, tuple(math.prod(level) for level in zip(*strides, strict=True))


def way_up(channels: tuple[int, int], stride: Stride, way: str) -> nn.Module:
    """The layer that brings features of (below, here) channels up by a stride, by one of `WAYS`."""
    if way == "transposed":
        return _layers(len(stride))[1](*channels, stride, stride)
    return InterpolatedUp(channels, stride, way)


def _norm(ndim: int, channels: int, kind: str) -> nn.Module:
    if kind == "none":
        return nn.Identity()
    if kind == "group":
        return nn.GroupNorm(max(n for n in range(1, GROUPS + 1) if channels % n == 0), channels)
    return nn.BatchNorm2d(channels) if ndim == 2 else nn.BatchNorm3d(channels)


def _layers(ndim: int) -> tuple[type[nn.Module], type[nn.Module]]:
    return (nn.Conv2d, nn.ConvTranspose2d) if ndim == 2 else (nn.Conv3d, nn.ConvTranspose3d)
