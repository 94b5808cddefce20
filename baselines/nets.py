"""NetConfig -> Network: any size in, float32 logits out, whatever encoder-decoder does the work."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn

from baselines.config import NetConfig, Settings
from baselines.unet import UNet, pooling
from converters.errors import BenchError, EnvironmentFault, unknown_name


class NetSpec(Settings):
    """All that is needed to build a network again: what is stored beside its weights."""

    config: NetConfig
    in_channels: int
    classes: int
    patch: tuple[int, ...]
    spacing: tuple[float, ...]  # mm per network axis, or its typical value where images are resized
    precision: str
    channels_last: bool


class Network(nn.Module):
    """An encoder-decoder behind one face: pads to the size it needs, runs in its precision, crops back."""

    def __init__(self, body: nn.Module, multiple: Sequence[int], precision: str, channels_last: bool) -> None:
        super().__init__()
        self.multiple = tuple(multiple)
        self.precision = precision
        self.memory_format = torch.preserve_format
        if channels_last:
            self.memory_format = torch.channels_last if len(multiple) == 2 else torch.channels_last_3d
        self.body = body.to(memory_format=self.memory_format)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Logits, finest first; one scale for a plain network.

        Shape: (B, C, *S) float32 -> [(B, K, *S)] float32. Autocast lives here alone: losses stay in float32.
        """
        size = image.shape[2:]
        padded = F.pad(image, _padding(size, self.multiple))
        if self.memory_format != torch.preserve_format:
            padded = padded.contiguous(memory_format=self.memory_format)
        with torch.autocast(image.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            out = self.body(padded)
        scales = out if isinstance(out, list | tuple) else [out]
        return [scale.float()[(..., *(slice(0, s) for s in size))] for scale in scales]


def make_net(spec: NetSpec) -> Network:
    """A new network with fresh weights (or the pre-trained encoder that was asked for).

    Raises:
        UsageError: no such architecture or encoder.
        EnvironmentFault: pre-trained weights cannot be had.
        BenchError: this encoder-decoder cannot segment such patches; says why.
    """
    body, multiple = _unet(spec) if spec.config.arch == "unet" else _smp(spec)
    net = Network(body, multiple, spec.precision, spec.channels_last)
    _probe(net, spec)
    return net


def networks(module: nn.Module) -> Iterator[Network]:
    """Every network in a method."""
    return (part for part in module.modules() if isinstance(part, Network))


def _unet(spec: NetSpec) -> tuple[nn.Module, tuple[int, ...]]:
    config = spec.config
    strides = pooling(spec.patch, spec.spacing, len(config.widths))
    body = UNet((spec.in_channels, spec.classes), config.widths, config.dropout, strides, config.upsampling)
    return body, tuple(math.prod(level) for level in zip(*strides, strict=True))


def _smp(spec: NetSpec) -> tuple[nn.Module, tuple[int, ...]]:
    import segmentation_models_pytorch as smp

    config = spec.config
    archs = {name.lower(): name for name in smp.MODEL_ARCHITECTURES_MAPPING}
    if config.arch.lower() not in archs:
        raise unknown_name("architecture", config.arch, ["unet", *archs])
    if len(spec.patch) != 2:
        raise BenchError(
            f"{config.arch} of smp is 2D", mend="give train.patch two edges, or take train.net.arch = 'unet'"
        )
    _check_encoder(config.encoder)
    try:
        body = smp.create_model(
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
    return body, (32, 32)


def _check_encoder(name: str) -> None:
    import segmentation_models_pytorch as smp
    import timm

    own = smp.encoders.get_encoder_names()
    if name.startswith("tu-"):
        if not timm.is_model(name[3:].split(".", maxsplit=1)[0]):
            raise unknown_name("timm encoder", name, [f"tu-{model}" for model in timm.list_models()])
    elif name not in own:
        raise unknown_name("encoder", name, own)


def _probe(net: Network, spec: NetSpec) -> None:
    """Run one small batch, so that a network that does not fit is refused before any training."""
    image = torch.zeros(2, spec.in_channels, *spec.patch)
    try:
        with torch.no_grad():
            out = net.eval()(image)[0]
    except (RuntimeError, ValueError, AssertionError, IndexError) as error:
        raise BenchError(
            f"{spec.config.arch} on {spec.config.encoder} cannot run on patches {list(spec.patch)}: {error}",
            mend="choose another encoder or a larger train.patch",
        ) from error
    finally:
        net.train()
    if out.shape != (2, spec.classes, *spec.patch):
        raise BenchError(
            f"{spec.config.arch} on {spec.config.encoder} returns {list(out.shape)} for {list(image.shape)}"
        )


def _padding(size: Sequence[int], multiple: Sequence[int]) -> list[int]:
    """Zeros at the end of each axis, last axis first as torch wants it."""
    return [n for s, m in zip(reversed(size), reversed(multiple), strict=True) for n in (0, -s % m)]
