"""Networks of baselines/networks are those of their papers and codes: parameters, layers, first weights."""

import itertools

import msgspec
import pytest
import torch
from small_networks import built, image, parameters, small_net, spec, whole_spec
from torch import nn

from baselines import network
from baselines.config import NetConfig
from baselines.halves import ONE
from baselines.nets import make_net, maker
from baselines.networks.residual_unet import Unit


@pytest.mark.parametrize(
    ("arch", "given", "published"),
    [
        # torchvision's own figure for its weights fcn_resnet50, whose auxiliary head is our second scale.
        ("fcn", {"channels": 3, "classes": 21, "scales": 2}, 35_322_218),
        # Of the Keras U-Net (Data Science Bowl 2018) as its summary prints it: three channels, one class.
        ("unet_tumour", {"channels": 3, "classes": 1}, 1_941_105),
        # 31 030 593 without norm, as summaries of a U-Net of these widths print it; 2 for each of 5888 normed channels.
        ("unet_liver", {"classes": 1}, 31_030_593 + 2 * 5888),
    ],
)
def test_parameters_are_those_that_are_published(arch, given, published):
    scales = given.pop("scales", 1)
    assert parameters(maker(whole_spec(arch, **given))(scales=scales)) == published


def test_the_encoder_of_segnet_is_that_of_vgg_16():
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = [tuple(weight.shape) for weight in vgg16().features.parameters()]
    net = make_net(whole_spec("segnet", channels=3, classes=12))
    ours = [
        tuple(weight.shape)
        for layer in net.body.encoder.modules()
        if isinstance(layer, nn.Conv2d)
        for weight in layer.parameters()
    ]
    assert ours == theirs
    assert sum(torch.Size(shape).numel() for shape in ours) == 14_714_688  # "14.7M" in the paper
    mirrored = [layer for layer in net.body.decoder.modules() if isinstance(layer, nn.Conv2d)]
    assert len(mirrored) == 13
    widths = [layer.in_channels for layer in mirrored if layer is not net.body.decoder.head]
    assert widths == [512] * 6 + [256] * 3 + [128] * 2 + [64]


def test_the_residual_unet_has_the_layers_of_dltk():
    """Counted from DLTK's own function: no bias, two numbers for each normed channel."""

    def unit(before, after, kernel=27):
        shortcut = 27 * before * after if before > after else 0
        return 2 * (before + after) + kernel * before * after + 27 * after * after + shortcut

    f = (16, 32, 64, 128)
    down = sum(unit(a, b, 3 * 4 * 4) + unit(b, b) for a, b in itertools.pairwise(f))
    up = sum(unit(a + b, a) + unit(a, a) for a, b in itertools.pairwise(f))
    net = make_net(whole_spec("residual_unet", 3, channels=3, classes=9))
    assert parameters(net) == 27 * 3 * 16 + down + up + 16 * 9
    strides = [
        conv.stride for conv in net.body.encoder.modules() if isinstance(conv, nn.Conv3d) and max(conv.stride) > 1
    ]
    assert strides == [(1, 2, 2)] * 3 and net.multiple == (1, 8, 8)


@torch.no_grad()
def test_the_residual_unet_begins_and_activates_as_dltk_does():
    """LeakyReLU of 0.1 on the way down, ReLU6 on the way up, weights uniform with a variance of 1 / fan in."""
    torch.manual_seed(0)
    body = make_net(whole_spec("residual_unet", 3, channels=3, classes=9)).body
    given = torch.tensor([-10.0, 2.0, 10.0])
    for half, after in ((body.encoder, [-1.0, 2.0, 10.0]), (body.decoder, [0.0, 2.0, 6.0])):
        units = [module for module in half.modules() if isinstance(module, Unit)]
        assert len(units) == 6 and all(unit.activation(given).tolist() == after for unit in units)
    convs = [module for module in body.modules() if isinstance(module, nn.Conv3d)]
    assert body.decoder.head in convs and len(convs) == 1 + 6 * 2 + 3 + 6 * 2 + 1
    for conv in convs:
        spread = conv.weight.var() * conv.weight[0].numel()
        assert spread.item() == pytest.approx(1, rel=0.1 if conv.weight.numel() > 1000 else 0.5)
        assert conv.weight.abs().max() <= (3 / conv.weight[0].numel()) ** 0.5


@torch.no_grad()
def test_segnet_puts_values_back_where_the_maxima_were():
    net = built("segnet")
    x, *indices = net.encode(image("segnet")).levels
    stage = net.body.decoder.stages[0]
    places = indices[-1].view(2, x.shape[1], *x.shape[2:])
    theirs = nn.functional.max_unpool2d(x.contiguous(), places, 2)
    torch.testing.assert_close(stage(x, indices[-1]), stage.layers(theirs))
    assert (theirs != 0).sum() == (x != 0).sum()


@pytest.mark.parametrize(("arch", "ndim"), [("dynunet", 2), ("dynunet", 3), ("swin_unetr", 2)])
@torch.no_grad()
def test_networks_of_monai_give_what_they_give_there(arch, ndim):
    config, patch = small_net(arch)[0], {"dynunet": (16, 32, 32), "swin_unetr": (64,) * 3}[arch][-ndim:]
    from monai.networks.nets import DynUNet, SwinUNETR

    torch.manual_seed(0)
    body = (net := make_net(spec(config, patch)).eval()).body
    encoder, stages = body.encoder, body.decoder.stages
    if arch == "dynunet":
        strides = [(1,) * ndim, (2,) * ndim, (2,) * ndim]
        theirs = DynUNet(ndim, 1, 3, [3] * 3, strides, strides[1:], filters=[4, 8, 8]).eval()
        parts = {"input_block": encoder[0], "downsamples.0": encoder[1], "bottleneck": encoder[2]}
        parts |= {f"upsamples.{n}": stage for n, stage in enumerate(stages)} | {"output_block": body.decoder.head}
    else:
        theirs = SwinUNETR(1, 3, depths=(1,) * 4, window_size=2, feature_size=12, spatial_dims=ndim).eval()
        parts = {f"encoder{n}": block for n, block in enumerate(encoder.blocks, 1)}
        parts |= {f"decoder{5 - n}": stage for n, stage in enumerate(stages)}
        parts |= {"swinViT": encoder.swin, "encoder10": encoder.deepest, "out": body.decoder.head}
    assert parameters(net) == parameters(theirs)
    for part, module in parts.items():
        theirs.get_submodule(part).load_state_dict(module.state_dict())
    given = torch.randn(1, 1, *patch)
    torch.testing.assert_close(net(given)[0], theirs(given))


def test_a_coarse_axis_of_dynunet_is_convolved_along_once_it_is_no_longer_coarse():
    """As nnU-Net plans its kernels: 3 stays 3, and the deepest level has no other."""
    small_net("dynunet")
    given = spec(NetConfig(arch="dynunet"), (8, 128, 128))
    body = make_net(msgspec.structs.replace(given, spacing=(10.0, 1.8, 1.8))).body
    kernels = [level.conv1.conv.kernel_size for level in body.encoder]
    assert kernels == [(1, 3, 3), (1, 3, 3), *[(3, 3, 3)] * (len(kernels) - 2)] and len(kernels) == 6


@pytest.mark.parametrize(
    ("patch", "spacing"),
    [
        ((64, 128, 128), (2.0, 1.0, 1.0)),
        ((8, 128, 128), (10.0, 1.25, 1.25)),
        ((16, 128, 128), (5.0, 1.25, 1.25)),
        ((32, 128, 128), (8.0, 2.0, 2.0)),
        ((4, 64, 64), (0.4, 1.0, 1.0)),  # the finest axis is too thin to be halved
        ((128, 64), (1.0, 2.0)),
    ],
)
def test_dynunet_steps_over_no_voxel(patch, spacing):
    small_net("dynunet")
    given = spec(NetConfig(arch="dynunet", options={"widths": (4,) * 6}), patch)
    body = make_net(msgspec.structs.replace(given, spacing=spacing)).body
    firsts = [level.conv1.conv for level in body.encoder]
    assert max(max(conv.stride) for conv in firsts) == 2
    assert all(step <= width for conv in firsts for step, width in zip(conv.stride, conv.kernel_size, strict=True))


def test_swin_unetr_has_the_published_number_of_parameters():
    """62.19 M for one channel and the 14 classes of BTCV, in the table of the CLIP-Driven Universal Model's README."""
    small_net("swin_unetr")
    body, _ = network.find("swin_unetr").make(whole_spec("swin_unetr", 3, classes=14), ONE)
    assert round(parameters(body) / 1e6, 2) == 62.19
