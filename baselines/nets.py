"""Network: an encoder-decoder behind one face. Any size in, float32 logits out, whatever does the work."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, cast

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn

from baselines import heads, lean
from baselines.bodies import named, refusing
from baselines.config import NetConfig, NetSpec
from baselines.halves import ONE, Body, Change, Parts
from converters.errors import BenchError


@dataclasses.dataclass(frozen=True)
class Features:
    """What the encoder of a network made of an image: levels, finest first, in the network's precision."""

    levels: tuple[Tensor, ...]
    size: tuple[int, ...]  # of the image
    padded: tuple[int, ...]
    image_level: bool  # the first level is the image itself

    def changed(self, change: Change) -> "Features":
        """With a change made to every level that was learnt."""
        learnt = [level.ndim == len(self.size) + 2 and level.shape[1] > 0 for level in self.levels]
        learnt[0] &= not self.image_level
        levels = (change(level) if yes else level for level, yes in zip(self.levels, learnt, strict=True))
        return dataclasses.replace(self, levels=tuple(levels))

    def rows(self, rows: slice | Tensor) -> "Features":
        """Those of some of the images."""
        return dataclasses.replace(self, levels=tuple(level[rows] for level in self.levels))


class Network(nn.Module):
    """An encoder-decoder behind one face: pads to the size it needs, runs in its precision, crops back.

    `net(image)` gives the logits of each scale, finest first, each at the size of the image. The two halves are there
    for methods that change features, or decode them more than once: `net(image)` is `net.decode(net.encode(image))`.
    """

    def __init__(self, body: nn.Module, multiple: Sequence[int], precision: str, channels_last: bool) -> None:
        super().__init__()
        self.multiple = tuple(multiple)
        self.precision = precision
        self.memory_format = torch.preserve_format
        if channels_last:
            self.memory_format = torch.channels_last if len(multiple) == 2 else torch.channels_last_3d
        lean.keep_less(body)
        self.body = body.to(memory_format=self.memory_format)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits, finest first; one scale for a plain network.

        Shape: (B, C, *S) float32 -> [(B, K, *S)] float32. Autocast lives here alone: losses stay in float32.
        """
        padded = self._padded(image)
        with self._autocast(image):
            out = self.body(padded)
        return _logits(out, tuple(image.shape[2:]), tuple(padded.shape[2:]))

    def encode(self, image: Tensor) -> Features:
        """Features of an image. Shape: (B, C, *S) float32."""
        padded = self._padded(image)
        with self._autocast(image):
            levels = self._halves.encode(padded)
        return Features(tuple(levels), tuple(image.shape[2:]), tuple(padded.shape[2:]), self._halves.image_level)

    def decode(self, features: Features, number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits by the decoder of that number, as `forward` gives them.

        `changes`, one for each scale, finest first, are made to what the heads read.
        """
        with self._autocast(features.levels[0]):
            out = self._halves.decode(features.levels, number, changes)
        return _logits(out, features.size, features.padded)

    def compile_body(self) -> None:
        """Compile it in place, whole and its encoder alone; nothing is compiled before it is used."""
        self.body.compile(dynamic=False)
        self._halves.encode = torch.compile(self._halves.encode, dynamic=False)  # type: ignore[method-assign]

    @property
    def _halves(self) -> Body:
        return cast(Body, self.body)

    def _padded(self, image: Tensor) -> Tensor:
        padded = F.pad(image, _padding(image.shape[2:], self.multiple))
        if self.memory_format != torch.preserve_format:
            padded = padded.contiguous(memory_format=self.memory_format)
        return padded

    def _autocast(self, like: Tensor) -> torch.autocast:
        return torch.autocast(like.device.type, torch.bfloat16, enabled=self.precision == "bf16")


class Make(Protocol):
    """A freshly initialised network each time it is called."""

    def __call__(
        self, *, decoders: int | tuple[str, ...] = 1, scales: int = 1, change: Mapping[str, object] | None = None
    ) -> Network:
        """See `Parts` for `decoders` and `scales`; `change` is made to the recipe's `NetConfig`, field by field.

        {"arch": "unet"} is our U-Net, {"arch": "Unet", "encoder": "mit_b0"} a light U-Net with a transformer for an
        encoder (2D, 5.5 M parameters, any size); {"arch": "Unet", "encoder": "tu-swin_tiny_patch4_window7_224"} one of
        the size of the literature (31.6 M), for patches of the recipe's size alone.
        """


def maker(spec: NetSpec) -> Make:
    """What a method is given to make its networks with."""

    def make(
        *, decoders: int | tuple[str, ...] = 1, scales: int = 1, change: Mapping[str, object] | None = None
    ) -> Network:
        config = _changed(spec.config, change or {})
        return make_net(msgspec.structs.replace(spec, config=config), Parts(decoders, scales))

    return make


def _changed(config: NetConfig, change: Mapping[str, object]) -> NetConfig:
    try:
        return msgspec.convert({**msgspec.structs.asdict(config), **change}, NetConfig)
    except msgspec.ValidationError as error:
        raise BenchError(f"no network has {dict(change)}: {error}") from error


def make_net(spec: NetSpec, parts: Parts = ONE) -> Network:
    """A new network with fresh weights (or the pre-trained encoder that was asked for).

    Raises:
        UsageError: no such architecture or encoder.
        EnvironmentFault: pre-trained weights cannot be had.
        BenchError: this encoder-decoder cannot segment such patches; says why.
    """
    body, multiple = heads.make(spec, parts)
    net = Network(body, multiple, spec.precision, spec.channels_last)
    _probe(net, spec, parts)
    return net


def networks(module: nn.Module) -> Iterator[Network]:
    """Every network in a method."""
    return (part for part in module.modules() if isinstance(part, Network))


def _probe(net: Network, spec: NetSpec, parts: Parts) -> None:
    """Run one small batch, so that a network that does not fit is refused before any training."""
    image = torch.zeros(2, spec.in_channels, *spec.patch)
    try:
        with refusing(spec), torch.no_grad():
            out = [scale for number in range(parts.number) for scale in net.decode(net.eval().encode(image), number)]
    finally:
        net.train()
    for scale in out:
        if scale.shape != heads.expected(spec, 2):
            raise BenchError(f"{named(spec)} returns {list(scale.shape)} for {list(image.shape)}")


def _logits(out: Sequence[Tensor] | Tensor, size: tuple[int, ...], padded: tuple[int, ...]) -> list[Tensor]:
    """Each scale in float32, brought to full size by the nearest voxel, without what was padded."""
    scales = [out] if isinstance(out, Tensor) else out
    if scales[0].ndim == 2:  # one answer for each patch
        return [scale.float() for scale in scales]
    full = [scale if scale.shape[2:] == padded else F.interpolate(scale, size=padded) for scale in scales]
    crop: tuple[slice, ...] = (slice(None), slice(None), *(slice(0, s) for s in size))
    return [scale.float()[crop] for scale in full]


def _padding(size: Sequence[int], multiple: Sequence[int]) -> list[int]:
    """Zeros at the end of each axis, last axis first as torch wants it."""
    return [n for s, m in zip(reversed(size), reversed(multiple), strict=True) for n in (0, -s % m)]
