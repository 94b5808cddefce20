"""MONAI's Swin UNETR: windowed self-attention in the encoder, convolutions around it."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from baselines.config import NetSpec
from baselines.halves import Halves, Ladder, Parts
from baselines.network import About, Built, needed

ABOUT = About(paper="Hatamizadeh et al., BrainLes 2021", ndims=(2, 3), code="MONAI")
_MULTIPLE = 32
_UPS = ("decoder5", "decoder4", "decoder3", "decoder2", "decoder1")
_WIDER = (8, 4, 2, 1, 1)  # than `width`, what each of them gives


def build(spec: NetSpec, parts: Parts, width: int = 48, depths: Sequence[int] = (2, 2, 2, 2), window: int = 7) -> Built:
    """The paper's width and depths; each edge is padded to a multiple of 32, thin stacks of slices too.

    `width`: of the finest level, a multiple of 12; 24 is MONAI's default. `window`: edge of the windows of attention.
    """
    nets, blocks = (needed(f"monai.networks.{name}", "monai") for name in ("nets", "blocks.dynunet_block"))
    needed("einops", "monai")
    ndim = len(spec.patch)

    def head(channels: int) -> nn.Module:
        made: nn.Module = blocks.UnetOutBlock(ndim, channels, spec.classes)
        return made

    def make() -> Any:
        return nets.SwinUNETR(
            in_channels=spec.in_channels,
            out_channels=spec.classes,
            depths=tuple(depths),
            window_size=window,
            feature_size=width,
            spatial_dims=ndim,
        )

    def decoder(one: Any) -> nn.Module:
        return Ladder([getattr(one, up) for up in _UPS], [n * width for n in _WIDER], parts.scales, head)

    all_ = [make() for _ in range(parts.number)]
    return Halves(_Encoder(all_[0]), map(decoder, all_)), (_MULTIPLE,) * ndim


class _Encoder(nn.Module):
    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.swin = whole.swinViT
        self.blocks = nn.ModuleList([whole.encoder1, whole.encoder2, whole.encoder3, whole.encoder4])
        self.deepest = whole.encoder10

    def forward(self, image: Tensor) -> list[Tensor]:
        """Six levels; all but the last but one through a block of convolutions."""
        hidden = self.swin(image, True)
        levels = [block(x) for block, x in zip(self.blocks, (image, *hidden[:3]), strict=True)]
        return [*levels, hidden[3], self.deepest(hidden[4])]
