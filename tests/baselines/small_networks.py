"""A small one of each network, and the patch that it takes: `from small_networks import OURS, small_net`."""

import functools

import pytest
import torch

from baselines.config import NetConfig, NetSpec
from baselines.nets import maker

OURS = {
    "fcn": ({"blocks": (1, 1, 1, 1), "slim": True}, (16, 16)),
    "segnet": ({"widths": (4, 4, 8, 8), "convolutions": (2, 1, 1, 1)}, (16, 16)),
    "unet_liver": ({"widths": (4, 8, 8)}, (16, 16)),
    "unet_tumour": ({"widths": (4, 8, 8), "dropout": (0.1, 0.1, 0.2)}, (16, 16)),
    "residual_unet": ({"widths": (4, 8, 16)}, (8, 16, 16)),
    "dynunet": ({"widths": (4, 8, 8)}, (8, 16, 16)),
    "swin_unetr": ({"width": 12, "depths": (1, 1, 1, 1), "window": 2}, (64, 64)),
}
SMP = {
    **dict.fromkeys(("UnetPlusPlus", "DeepLabV3", "DeepLabV3Plus", "UPerNet"), "tu-test_resnet"),
    "Segformer": "mit_b0",
    "DPT": "tu-test_vit",
}
MONAI = ("dynunet", "swin_unetr")
ALL = [*OURS, *SMP]


def small_net(name):
    """(NetConfig, patch) of a small one."""
    if name in SMP:
        return NetConfig(arch=name, encoder=SMP[name]), (64, 64)
    if name in MONAI:
        pytest.importorskip("monai", reason="needs the extra [monai]")
        pytest.importorskip("einops", reason="needs the extra [monai]")
    options, patch = OURS[name]
    return NetConfig(arch=name, options=options), patch


def spec(config, patch, channels=1, classes=3, precision="fp32"):
    return NetSpec(
        config=config,
        in_channels=channels,
        classes=classes,
        patch=patch,
        spacing=(1.5,) * len(patch),
        precision=precision,
        channels_last=True,
    )


def whole_spec(arch, ndim=2, channels=1, classes=4, **options):
    """Of the size that it is published with."""
    patch = (64, 64) if ndim == 2 else (16, 64, 64)
    return spec(NetConfig(arch=arch, options=options), patch, channels, classes)


@functools.cache
def built(name):
    """One with two decoders and two scales, whose norms have seen images, for tests that leave it as it is."""
    config, patch = small_net(name)
    torch.manual_seed(0)
    net = maker(spec(config, patch))(decoders=2, scales=2)
    with torch.no_grad():
        for _ in range(20):
            features = net.encode(torch.randn(2, 1, *patch))
            net.decode(features, 0), net.decode(features, 1)
    return net.eval()


def image(name, count=2):
    torch.manual_seed(1)
    return torch.randn(count, 1, *small_net(name)[1])


def parameters(net):
    return sum(weight.numel() for weight in net.parameters())
