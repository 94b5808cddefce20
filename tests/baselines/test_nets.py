"""Networks: any size in, float32 logits of that size out."""

import pytest
import torch

from baselines.config import NetConfig, NetSpec
from baselines.nets import make_net
from baselines.unet import pooling
from converters.errors import BenchError, UsageError


def spec(config=None, *, channels=1, patch=(32, 32), spacing=None, precision="fp32"):
    return NetSpec(
        config=config or NetConfig(widths=(4, 8, 16), dropout=(0.0, 0.0, 0.0)),
        in_channels=channels,
        classes=4,
        patch=patch,
        spacing=spacing or (1.5,) * len(patch),
        precision=precision,
        channels_last=True,
    )


def test_the_unet_of_the_literature_has_its_number_of_parameters():
    count = sum(p.numel() for p in make_net(spec(NetConfig())).parameters())
    assert count == 1_813_764  # SSL4MIS's UNet(in_chns=1, class_num=4)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (8, 100), (16, 17, 18)])
def test_any_image_size_gives_logits_of_that_size(size):
    net = make_net(spec(channels=2, patch=(16,) * len(size)))
    out = net(torch.randn(2, 2, *size))
    assert [o.shape for o in out] == [(2, 4, *size)]


def test_logits_are_float32_under_bf16_and_differ_from_fp32_by_rounding_only():
    torch.manual_seed(0)
    full = make_net(spec()).eval()
    half = make_net(spec(precision="bf16")).eval()
    half.load_state_dict(full.state_dict())
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        a, b = full(image)[0], half(image)[0]
    assert b.dtype == torch.float32
    assert not torch.equal(a, b)
    torch.testing.assert_close(a, b, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_under_group_norm_each_sample_is_for_itself_in_training(size):
    torch.manual_seed(0)
    net = make_net(spec(NetConfig(widths=(4, 12, 16), dropout=(0.0,) * 3, norm="group"), patch=size))
    groups = [m.num_groups for m in net.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert groups == [4, 4, 6, 6, 8, 8, 6, 6, 4, 4]
    assert not list(net.buffers())
    image = torch.randn(3, 1, *size)
    torch.testing.assert_close(net(image)[0][1:], net(image[1:])[0])
    batch = make_net(spec(NetConfig(widths=(4, 12, 16), dropout=(0.0,) * 3), patch=size))
    assert batch(image)[0][1:].sub(batch(image[1:])[0]).abs().max() > 1e-3


def test_smp_refuses_group_norm():
    with pytest.raises(BenchError, match="has no group norm"):
        make_net(spec(NetConfig(arch="fpn", encoder="resnet18", norm="group"), patch=(64, 64)))


def test_an_axis_is_halved_only_once_it_is_nearly_as_fine_as_the_others():
    assert pooling((10, 128, 128), (8.0, 1.5, 1.5), 5) == ((1, 2, 2), (1, 2, 2), (2, 2, 2), (1, 2, 2))
    assert pooling((64, 64), (1.0, 1.0), 3) == ((2, 2), (2, 2))
    assert pooling((64, 128, 128), (2.0, 1.0, 1.0), 3) == ((1, 2, 2), (2, 2, 2))  # twice as coarse is not nearly


@pytest.mark.parametrize(
    ("patch", "spacing", "thin"),
    [
        ((8, 128, 128), (1.0, 1.0, 1.0), 1),
        ((16, 192, 192), (1.0, 1.0, 1.0), 2),
        ((16, 256, 256), (1.5, 0.8, 0.8), 2),
    ],
)
def test_a_thin_axis_holds_no_other_up(patch, spacing, thin):
    """The slices can be halved `thin` times and rows and columns five times, as nnU-Net plans for these."""
    assert pooling(patch, spacing, 6) == ((2, 2, 2),) * thin + ((1, 2, 2),) * (5 - thin)


def test_an_axis_is_halved_alone_from_twelve_voxels_on():
    assert pooling((4, 4, 8), (1.0, 1.0, 1.0), 2) == ((1, 1, 1),)
    assert pooling((4, 4, 12), (1.0, 1.0, 1.0), 3) == ((1, 1, 2), (1, 1, 1))


def test_an_axis_keeps_at_least_four_voxels():
    strides = pooling((12, 12), (1.0, 1.0), 5)
    assert [s[0] for s in strides] == [2, 1, 1, 1]


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("arch", "encoder"), [("Unet", "resnet18"), ("fpn", "mobilenet_v2"), ("DeepLabV3Plus", "tu-resnet10t")]
)
def test_smp_and_timm_networks_take_any_channels_and_any_size(arch, encoder, channels):
    net = make_net(spec(NetConfig(arch=arch, encoder=encoder), channels=channels, patch=(64, 64))).eval()
    image = torch.randn(2, channels, 70, 45)
    with torch.no_grad():
        out = net(image)[0]
        changed = image.clone()
        changed[:, -1] += 1  # the last channel must reach the output
        assert out.shape == (2, 4, 70, 45)
        assert not torch.equal(out, net(changed)[0])


@pytest.mark.parametrize(
    ("config", "near"),
    [
        (NetConfig(arch="unett"), "unet"),
        (NetConfig(arch="unet++", encoder="resnet18"), "unetplusplus"),
        (NetConfig(arch="fpn", encoder="resnet35"), "resnet34"),
        (NetConfig(arch="fpn", encoder="tu-resnet10tt"), "tu-resnet10t"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(config, near):
    with pytest.raises(UsageError, match=near):
        make_net(spec(config))


def test_a_2d_architecture_refuses_a_3d_patch():
    with pytest.raises(BenchError, match="is 2D"):
        make_net(spec(NetConfig(arch="fpn", encoder="resnet18"), patch=(16, 16, 16)))


def test_pretrained_weights_that_cannot_be_fetched_are_refused_with_the_way_out(monkeypatch, tmp_path):
    from converters.errors import EnvironmentFault

    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="cannot be fetched") as caught:
        make_net(spec(NetConfig(arch="fpn", encoder="resnet18", encoder_weights="imagenet"), patch=(64, 64)))
    assert "none" in str(caught.value)
