"""FCN on a dilated ResNet, as torchvision has it: logits at an eighth of the size, brought up by interpolation."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.fcn import FCNHead

from baselines.config import NetSpec
from baselines.halves import Change, Halves, Parts, enough, headed
from baselines.network import About, Built

ABOUT = About(paper="Long et al., CVPR 2015", ndims=(2,), code="torchvision")
_PLANES = (512, 256)  # of the last stage, and of the one before, which has torchvision's auxiliary head
_STRIDE = 8


class Slim(Bottleneck):  # type: ignore[misc]
    """Whose output is as wide as its middle, and not four times that."""

    expansion = 1


def build(spec: NetSpec, parts: Parts, blocks: Sequence[int] = (3, 4, 6, 3), slim: bool = False) -> Built:
    """Fresh weights, as everywhere here; a second scale is torchvision's auxiliary head.

    `blocks`: of each of the four stages; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101 (He et al., CVPR 2016).
    The last two stages are dilated and not strided. `slim`: without the fourfold width of ResNet's stages. The paper's
    own FCN-8s is on VGG-16 with skips; torchvision's has none.
    """
    enough(parts.scales, len(_PLANES))
    block = Slim if slim else Bottleneck
    channels = [planes * block.expansion for planes in _PLANES[: parts.scales]]
    heads = [[_head(n, spec.classes) for n in channels] for _ in range(parts.number)]
    resnet = ResNet(block, list(blocks), replace_stride_with_dilation=[False, True, True])
    return Halves(_Encoder(spec.in_channels, resnet), map(_Decoder, heads)), (_STRIDE, _STRIDE)


class _Encoder(nn.Module):
    def __init__(self, channels: int, resnet: ResNet) -> None:
        super().__init__()
        first = resnet.conv1
        if channels != first.in_channels:
            first = nn.Conv2d(channels, first.out_channels, 7, 2, padding=3, bias=False)
            nn.init.kaiming_normal_(first.weight, mode="fan_out", nonlinearity="relu")  # as ResNet's own
        self.stem = nn.Sequential(first, resnet.bn1, resnet.relu, resnet.maxpool, resnet.layer1, resnet.layer2)
        self.layer3, self.layer4 = resnet.layer3, resnet.layer4

    def forward(self, image: Tensor) -> list[Tensor]:
        """What the heads read; both levels at an eighth of the size."""
        third = self.layer3(self.stem(image))
        return [third, self.layer4(third)]


class _Decoder(nn.Module):
    def __init__(self, heads: Sequence[nn.Module]) -> None:
        super().__init__()
        self.head, *coarse = heads
        self.coarse = nn.ModuleList(coarse)

    def forward(self, features: Sequence[Tensor], changes: Sequence[Change] = ()) -> list[Tensor]:
        """Shape: (B, C, X / 8, Y / 8) per level -> (B, K, X, Y) per scale, deepest level first."""
        return headed([self.head, *self.coarse], features[::-1], changes)


def _head(channels: int, classes: int) -> nn.Module:
    return nn.Sequential(
        FCNHead(channels, classes), nn.Upsample(scale_factor=_STRIDE, mode="bilinear", align_corners=False)
    )
