"""Networks of baselines/networks and those of smp that the table tells: they train, predict, go on, and are whole."""

import functools
import itertools
import os
import signal
import sys

import msgspec
import pytest
import torch
from gates import batch_of, learn
from gates import spec as gate
from torch import nn
from views import weights

from baselines import method as contract
from baselines import network
from baselines.config import NetConfig, NetSpec, PredictConfig, TrainConfig, plain
from baselines.halves import ONE
from baselines.nets import make_net, maker
from baselines.networks.residual_unet import Unit
from baselines.predict import Setting as Prediction
from baselines.predict import predict
from baselines.train import Setting, train
from converters.errors import BenchError, EnvironmentFault, UsageError

# A small one of each, and the patch that it takes.
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


def test_there_is_a_small_one_of_each_file():
    assert sorted(OURS) == network.names()


@pytest.mark.parametrize("name", ALL)
def test_it_trains_goes_on_where_it_was_stopped_and_predicts(name, partly, small, tmp_path):
    net, patch = small_net(name)
    config = small(net=net, patch=patch, steps=2, batch=2, checkpoint_every=100)
    torch.manual_seed(0)
    start = make_net(spec(net, patch, classes=partly.classes))

    def interrupt(done, steps):
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    trained = train(partly, config, tmp_path / "whole", Setting())
    with pytest.raises(KeyboardInterrupt):
        train(partly, config, tmp_path / "cut", Setting(progress=interrupt))
    assert train(partly, config, tmp_path / "cut", Setting()).cost.segments == 2
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert trained.parameters == parameters(start)
    done = predict(
        tmp_path / "whole", partly, partly.cases[:1], tmp_path / "out", Prediction(config=PredictConfig(overlap=0.0))
    )
    assert done.items == 1 and len(list((tmp_path / "out").glob("*.nii.gz"))) == 1


# What no gradient reaches: smp reads features before the last norm, and not the answer, of timm's transformer.
STILL = {"DPT": ["encoder.model.norm", "encoder.model.head"]}


@pytest.mark.parametrize("name", ALL)
def test_every_weight_has_a_gradient(name):
    """After a few steps: some residual branches begin as nothing, and so does what is before them."""
    config, patch = small_net(name)
    torch.manual_seed(0)
    net = make_net(spec(config, patch))
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    reached = dict.fromkeys(dict(net.named_parameters()), False)
    for _ in range(3):
        optimizer.zero_grad()
        out = net(torch.randn(2, 1, *patch))[0]
        (out * torch.randn_like(out)).mean().backward()
        optimizer.step()
        for part, weight in net.named_parameters():
            reached[part] |= weight.grad is not None and bool(weight.grad.abs().max() > 0)
    known = tuple(f"body.{part}." for part in STILL.get(name, []))
    assert {part for part, yes in reached.items() if not yes} == {part for part in reached if part.startswith(known)}


@pytest.mark.parametrize("name", OURS)
@torch.no_grad()
def test_halves_are_the_whole_and_changes_are_seen(name):
    net, given = built(name), image(name)
    features = net.encode(given)
    whole = net(given)
    assert all(torch.equal(a, b) for a, b in zip(whole, net.decode(features), strict=True))
    assert [(scale.shape, scale.dtype) for scale in whole] == [((2, 3, *given.shape[2:]), torch.float32)] * 2
    assert (whole[1] - whole[0]).abs().max() > 1e-4
    changed = features.changed(lambda x: 1.5 * x)
    assert (net.decode(changed)[0] - whole[0]).abs().max() > 1e-5
    for part, scale in zip(net.decode(features.rows(torch.tensor([1]))), whole, strict=True):
        torch.testing.assert_close(part, scale[1:], atol=1e-4, rtol=1e-4)
    heads = net.decode(features, 1, [lambda x: x, lambda x: 0 * x])
    plain_heads = net.decode(features, 1)
    assert [torch.equal(a, b) for a, b in zip(heads, plain_heads, strict=True)] == [True, False]
    assert (plain_heads[0] - whole[0]).abs().max() > 1e-5
    odd = net(torch.randn(1, 1, *(edge + 5 for edge in given.shape[2:])))
    assert odd[0].shape[2:] == tuple(edge + 5 for edge in given.shape[2:])


@pytest.mark.parametrize("name", OURS)
def test_each_decoder_learns_by_itself(name):
    net = built(name)
    of = [
        {part for part, _ in net.named_parameters() if part.startswith(begins)}
        for begins in ("body.decoder", "body.others")
    ]
    features = net.encode(image(name))
    for number in range(2):
        loss = sum(scale.square().mean() for scale in net.decode(features, number))
        names, given = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, given, retain_graph=True, allow_unused=True)
        reached = {part for part, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 0}
        assert of[number] <= reached and not reached & of[1 - number]
        assert reached - of[number]


@pytest.mark.parametrize("name", OURS)
@torch.no_grad()
def test_half_precision_differs_by_rounding_alone(name):
    config, patch = small_net(name)
    half = maker(spec(config, patch, precision="bf16"))(decoders=2, scales=2).eval()
    half.load_state_dict(built(name).state_dict())
    for a, b in zip(half(image(name)), built(name)(image(name)), strict=True):
        assert a.dtype == torch.float32 and not torch.equal(a, b)
        # On average: where two voxels tie but for rounding, max-pooling may keep the other one.
        assert (a - b).abs().mean() < 0.05 * b.std()


@pytest.mark.parametrize("name", contract.names())
def test_every_method_takes_a_network_that_is_no_unet_or_refuses_with_a_reason(name):
    """The one whose features are not all levels: SegNet's decoder reads indices, too."""
    if reason := contract.find(name).refuses(2, 2, 2):
        pytest.skip(reason)
    net = {"arch": "segnet", "options": {"widths": (4,) * 4, "convolutions": (2, 1, 1, 1)}}
    torch.manual_seed(0)
    try:
        method = contract.build(contract.find(name), maker(gate(**net)), {})
    except BenchError as error:
        assert error.what
        pytest.skip(f"{name} refuses: {error.what}")
    after = learn(method, batch_of(type(method)), steps=1, rate=0.01)
    assert all(torch.isfinite(value).all() for value in after.values())


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


@pytest.mark.parametrize(
    ("config", "patch", "reason"),
    [
        (NetConfig(arch="segnet"), (16, 16, 16), "segnet is 2D"),
        (NetConfig(arch="residual_unet"), (16, 16), "residual_unet is 3D"),
        (NetConfig(arch="fcn", norm="group"), (16, 16), "has no group norm"),
        (NetConfig(arch="fcn", encoder_weights="imagenet"), (16, 16), "no pre-trained encoder"),
        (NetConfig(arch="unet", options={"widths": (4, 8)}), (16, 16), "unet has no options"),
        (NetConfig(arch="unet_tumour", options={"widths": (4, 8)}), (16, 16), "cannot be built"),
        (NetConfig(arch="segnet", options={"widths": "wide"}), (16, 16), "cannot be built"),
    ],
)
def test_what_it_cannot_be_is_refused_with_a_reason(config, patch, reason):
    with pytest.raises(BenchError, match=reason):
        make_net(spec(config, patch))


@pytest.mark.parametrize("name", [name for name in OURS if name not in MONAI])
def test_more_scales_than_levels_are_refused(name):
    config, patch = small_net(name)
    with pytest.raises(BenchError, match="to put heads on"):
        maker(spec(config, patch))(scales=6)


def test_an_option_that_there_is_not_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match="convolutions"):
        make_net(spec(NetConfig(arch="segnet", options={"convolution": (1,)}), (16, 16)))
    with pytest.raises(UsageError, match="segnet"):
        make_net(spec(NetConfig(arch="segnett"), (16, 16)))


def test_a_package_that_is_not_there_is_told_with_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "monai.networks.nets", None)
    with pytest.raises(EnvironmentFault, match="monai") as caught:
        make_net(spec(NetConfig(arch="dynunet"), (16, 16)))
    assert "frugalseg[monai]" in str(caught.value)


def test_options_are_named_where_there_are_any_and_records_without_read_on():
    assert "options" not in plain(NetConfig())
    given = NetConfig(arch="segnet", options={"widths": (4, 8)})
    assert plain(given)["options"] == {"widths": [4, 8]}
    assert msgspec.convert(plain(given), NetConfig) == given
    assert plain(TrainConfig())["options"] == {}
