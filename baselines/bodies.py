"""NetConfig -> encoder-decoder: ours, or any of segmentation-models-pytorch, with more decoders and scales."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from baselines import network
from baselines.config import NetConfig, NetSpec
from baselines.halves import Change, Parts, headed
from baselines.memory import out_of_memory
from baselines.unet import Form, fitted
from converters.errors import BenchError, EnvironmentFault, unknown_name

MULTIPLE = 32  # of which the networks of smp want their edges


class Smp(nn.Module):
    """A network of segmentation-models-pytorch in two halves; its weights keep the names they have there.

    More decoders are decoders and heads of fresh networks of the same kind. Coarser scales are heads on the blocks of
    the decoder, where it has a list of them, else on the levels of the encoder.
    """

    def __init__(self, make: Callable[[], nn.Module], classes: int, parts: Parts, image: Tensor) -> None:
        """`image` is one that goes through once: what comes of it says how many channels each head reads.

        Raises:
            ValueError: fewer levels than scales.
        """
        super().__init__()
        model: Any = make()
        self.encoder, self.decoder, self.segmentation_head = model.encoder, model.decoder, model.segmentation_head
        others: list[Any] = [make() for _ in range(parts.number - 1)]
        self.others = nn.ModuleList([nn.Sequential(one.decoder, one.segmentation_head) for one in others])
        self.image_level, channels = self._levels(image, parts.scales)
        heads = [[nn.Conv2d(n, classes, 3, padding=1) for n in channels] for _ in range(parts.number)]
        self.coarse = nn.ModuleList([nn.ModuleList(some) for some in heads])

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first; of most encoders the first is the image."""
        found = self.encoder(image)
        # DPT's encoder gives features and, apart, the tokens that stand for no place, if any: one list of both.
        return [*found[0], *(t for t in found[1] if t is not None)] if isinstance(found, tuple) else list(found)

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale, finest first, by the decoder of that number."""
        decoder, head = self._decoders[number]
        return headed([head, *self._coarse(number)], self._read(decoder, features), changes)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, H, W), edges multiples of 32 -> (B, K, H, W) and coarser scales."""
        return self.decode(self.encode(image))

    @torch.no_grad()
    def _levels(self, image: Tensor, scales: int) -> tuple[bool, list[int]]:
        """Whether the first level is the image itself, and the channels that each coarser scale reads."""
        self.eval()
        levels = self.encode(image)
        self.image_level = levels[0] is image
        for decoder, _ in self._decoders if scales > 1 else ():
            for block in _blocks(decoder):
                block.register_forward_hook(_keep)
        read = self._read(self.decoder, levels)
        if len(read) < scales:
            raise ValueError(f"it has {len(read)} levels to put heads on, and not {scales}")
        self.train()
        return self.image_level, [level.shape[1] for level in read[1:scales]]

    @property
    def _decoders(self) -> list[tuple[nn.Module, nn.Module]]:
        others = [cast(nn.Sequential, other) for other in self.others]
        return [(self.decoder, self.segmentation_head), *((other[0], other[1]) for other in others)]

    def _coarse(self, number: int) -> Iterable[nn.Module]:
        return cast(nn.ModuleList, self.coarse[number])

    def _read(self, decoder: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
        """What there can be heads on, finest first."""
        finest = _decoded(decoder, list(features))
        kept = [block.__dict__.pop("kept", None) for block in _blocks(decoder)]
        coarser = kept[-2::-1] if kept and kept[0] is not None else features[1 if self.image_level else 0 :]
        return [finest, *(level for level in coarser if level.ndim == finest.ndim and level.shape[1])]


def _decoded(decoder: nn.Module, features: list[Tensor]) -> Tensor:
    places = [level for level in features if level.ndim == 4]
    tokens: Sequence[Tensor | None] = features[len(places) :] or [None] * len(places)
    found: Tensor = decoder(places, tokens) if type(decoder).__name__ == "DPTDecoder" else decoder(features)
    return found


def _blocks(decoder: nn.Module) -> Sequence[nn.Module]:
    blocks = getattr(decoder, "blocks", None)
    return list(blocks) if isinstance(blocks, nn.ModuleList) else []


def _keep(block: nn.Module, given: object, out: Tensor) -> None:
    """A hook that knows no network, so that a copy of one keeps its own."""
    block.__dict__["kept"] = out


@contextlib.contextmanager
def refusing(spec: NetSpec) -> Iterator[None]:
    """A network that fails on a first image is one that cannot: says which and why."""
    try:
        yield
    except BenchError:
        raise
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        if isinstance(error, RuntimeError) and out_of_memory(error):
            raise
        raise BenchError(
            f"{named(spec)} cannot run on patches {list(spec.patch)}: {error}",
            mend="choose another encoder or a larger train.patch",
        ) from error


def make_body(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    """A new encoder-decoder, a `Body`, and what the edges of its input must be multiples of."""
    config = spec.config
    if config.arch in network.names():
        return network.find(config.arch).make(spec, parts)
    if config.options:
        raise BenchError(f"{config.arch} has no options", mend=f"networks that have: {', '.join(network.names())}")
    return _unet(spec, parts) if config.arch == "unet" else _smp(spec, parts)


def _unet(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    config = spec.config
    return fitted(spec, parts, (config.widths, config.dropout), Form((config.upsampling,), norm=config.norm))


def _smp(spec: NetSpec, parts: Parts) -> tuple[nn.Module, tuple[int, ...]]:
    import segmentation_models_pytorch as smp

    config = spec.config
    archs = {name.lower(): name for name in smp.MODEL_ARCHITECTURES_MAPPING}
    if config.arch.lower() not in archs:
        raise unknown_name("architecture", config.arch, ["unet", *network.names(), *archs])
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
    image = torch.zeros(1, spec.in_channels, *_padded(spec.patch))
    with refusing(spec):
        return Smp(lambda: _model(spec), spec.classes, parts, image), (MULTIPLE, MULTIPLE)


def named(spec: NetSpec) -> str:
    """The network in words."""
    arch = spec.config.arch
    return arch if arch in ("unet", *network.names()) else f"{arch} on {spec.config.encoder}"


def _padded(patch: Sequence[int]) -> list[int]:
    return [math.ceil(edge / MULTIPLE) * MULTIPLE for edge in patch]


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
            **_size(config, _padded(spec.patch)),
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


def _size(config: NetConfig, size: list[int]) -> dict[str, object]:
    """What a transformer of timm that takes one size of image alone must be told, where that is another."""
    import timm

    name = config.encoder
    usual = timm.get_pretrained_cfg(name.removeprefix("tu-")) if name.startswith("tu-") else None
    if usual is None or not usual.fixed_input_size or list(usual.input_size[1:]) == size:
        return {}
    # The plain vision transformers of DPT take any size then, and keep the shapes of their weights.
    return {"dynamic_img_size": True} if config.arch.lower() == "dpt" else {"img_size": size}


def _check_encoder(name: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    own = smp.encoders.get_encoder_names()
    if name.startswith("tu-"):
        if not timm.is_model(name[3:].split(".", maxsplit=1)[0]):
            raise unknown_name("timm encoder", name, [f"tu-{model}" for model in timm.list_models()])
    elif name not in own:
        raise unknown_name("encoder", name, own)
