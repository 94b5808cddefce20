"""NetConfig -> encoder-decoder: our U-Net, or any of segmentation-models-pytorch, with more decoders and scales."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, cast

from torch import Tensor, nn

from baselines.config import NetSpec
from baselines.unet import Change, Form, UNet, pooling
from converters.errors import BenchError, EnvironmentFault, unknown_name


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a method wants of a network beyond one encoder, one decoder, one scale."""

    decoders: int | tuple[str, ...] = 1  # a number, or how each goes up: "linear", "transposed", "nearest" (U-Net only)
    scales: int = 1  # heads on that many decoder levels, finest first

    @property
    def number(self) -> int:
        """Of decoders."""
        return self.decoders if isinstance(self.decoders, int) else len(self.decoders)


ONE = Parts()


class Body(Protocol):
    """An encoder-decoder in two halves."""

    image_level: bool  # the first of its features is the image itself

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first; a level may have 0 channels."""

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale, finest first, by one of the decoders; see `unet.Decoder.forward`."""


class Smp(nn.Module):
    """A network of segmentation-models-pytorch in two halves; its weights keep the names they have there.

    More decoders are decoders and heads of fresh networks of the same kind. Coarser scales are heads on the blocks of
    the decoder, where it has a list of them, else on the levels of the encoder.
    """

    image_level = True

    def __init__(self, make: Callable[[], nn.Module], classes: int, parts: Parts) -> None:
        super().__init__()
        model: Any = make()
        self.encoder, self.decoder, self.segmentation_head = model.encoder, model.decoder, model.segmentation_head
        others: list[Any] = [make() for _ in range(parts.number - 1)]
        self.others = nn.ModuleList([nn.Sequential(one.decoder, one.segmentation_head) for one in others])
        # How many channels a level has is known when the first image has come through.
        heads = [[nn.LazyConv2d(classes, 3, padding=1) for _ in range(parts.scales - 1)] for _ in range(parts.number)]
        self.coarse = nn.ModuleList([nn.ModuleList(some) for some in heads])
        self._seen: list[Tensor] = []
        for decoder, _ in self._decoders if parts.scales > 1 else ():
            for block in _blocks(decoder):
                block.register_forward_hook(lambda module, given, out: self._seen.append(out))

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first; the first is the image."""
        found = self.encoder(image)
        # DPT's encoder gives features and, apart, the tokens that stand for no place: one list of both.
        return [*found[0], *found[1]] if isinstance(found, tuple) else list(found)

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale, finest first, by the decoder of that number."""
        decoder, head = self._decoders[number]
        self._seen.clear()
        finest = self._decoded(decoder, list(features))
        coarser = self._seen[-2::-1] or [
            level for level in features[1:] if level.ndim == finest.ndim and level.shape[1]
        ]
        heads = [head, *self._coarse(number)]
        read = [finest, *coarser[: len(heads) - 1]]
        self._seen.clear()
        if changes:
            read = [change(x) for change, x in zip(changes, read, strict=True)]
        return [one(x) for one, x in zip(heads, read, strict=True)]

    @property
    def _decoders(self) -> list[tuple[nn.Module, nn.Module]]:
        others = [cast(nn.Sequential, other) for other in self.others]
        return [(self.decoder, self.segmentation_head), *((other[0], other[1]) for other in others)]

    def _coarse(self, number: int) -> Iterable[nn.Module]:
        return cast(nn.ModuleList, self.coarse[number])

    def _decoded(self, decoder: nn.Module, features: list[Tensor]) -> Tensor:
        half = len(features) // 2
        split = type(decoder).__name__ == "DPTDecoder"
        found: Tensor = decoder(features[:half], features[half:]) if split else decoder(features)
        return found

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, H, W), edges multiples of 32 -> (B, K, H, W) and coarser scales."""
        return self.decode(self.encode(image))


def _blocks(decoder: nn.Module) -> Sequence[nn.Module]:
    blocks = getattr(decoder, "blocks", None)
    return list(blocks) if isinstance(blocks, nn.ModuleList) else []


def make_body(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    """A new encoder-decoder, a `Body`, and what the edges of its input must be multiples of."""
    return _unet(spec, parts) if spec.config.arch == "unet" else _smp(spec, parts)


def _unet(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    config = spec.config
    strides = pooling(spec.patch, spec.spacing, len(config.widths))
    if parts.scales >= len(config.widths):
        raise BenchError(f"a U-Net of {len(config.widths)} levels has no {parts.scales} to put heads on")
    ways = (config.upsampling,) * parts.decoders if isinstance(parts.decoders, int) else parts.decoders
    form = Form(ways, parts.scales, config.norm)
    body = UNet((spec.in_channels, spec.classes), config.widths, config.dropout, strides, form)
    return body, tuple(math.prod(level) for level in zip(*strides, strict=True))


def _smp(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    import segmentation_models_pytorch as smp

    config = spec.config
    archs = {name.lower(): name for name in smp.MODEL_ARCHITECTURES_MAPPING}
    if config.arch.lower() not in archs:
        raise unknown_name("architecture", config.arch, ["unet", *archs])
    if len(spec.patch) != 2:
        raise BenchError(
            f"{config.arch} of smp is 2D", mend="give train.patch two edges, or take train.net.arch = 'unet'"
        )
    if config.norm != "batch":
        raise BenchError(
            f"{config.arch} of smp has no {config.norm} norm: its encoders keep the norm they have",
            mend="leave train.net.norm at 'batch', or take train.net.arch = 'unet'",
        )
    _check_encoder(config.encoder)
    return Smp(lambda: _model(spec), spec.classes, parts), (32, 32)


def _model(spec: NetSpec) -> nn.Module:
    import segmentation_models_pytorch as smp

    config = spec.config
    try:
        model: nn.Module = smp.create_model(
            config.arch,
            encoder_name=config.encoder,
            encoder_weights=config.encoder_weights,
            in_channels=spec.in_channels,
            classes=spec.classes,
        )
    except (OSError, RuntimeError) as error:
        if config.encoder_weights is None:
            raise BenchError(f"smp cannot build {config.arch} on {config.encoder}: {error}") from error
        raise EnvironmentFault(
            f"the weights '{config.encoder_weights}' of {config.encoder} cannot be fetched: {type(error).__name__}",
            mend="connect once (they are kept in the Hugging Face cache), or set train.net.encoder_weights to none",
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        raise BenchError(f"smp cannot build {config.arch} on {config.encoder}: {error}") from error
    return model


def _check_encoder(name: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    own = smp.encoders.get_encoder_names()
    if name.startswith("tu-"):
        if not timm.is_model(name[3:].split(".", maxsplit=1)[0]):
            raise unknown_name("timm encoder", name, [f"tu-{model}" for model in timm.list_models()])
    elif name not in own:
        raise unknown_name("encoder", name, own)
