"""Halves of a network: the same logits as the whole, more decoders, more scales, changed features."""

import copy
import functools

import pytest
import segmentation_models_pytorch as smp
import torch

from baselines.config import NetConfig, NetSpec
from baselines.nets import maker
from converters.errors import BenchError, UsageError

UNET = NetConfig(widths=(4, 8, 8, 8, 8), dropout=(0.0, 0.1, 0.1, 0.1, 0.5))
# Every architecture, on the smallest encoder that it takes.
SMP = [
    ("Unet" if arch == "unet" else arch, "tu-test_vit" if arch == "dpt" else "tu-test_resnet")
    for arch in smp.MODEL_ARCHITECTURES_MAPPING
]
# Encoders that have no level at half the size.
ODD = [("Unet", "mit_b0"), ("Unet", "tu-test_convnext"), ("segformer", "mit_b0")]
NETS = {
    "unet-2d": (UNET, (64, 64)),
    "unet-3d": (UNET, (8, 64, 64)),
    **{f"{a}-{e}": (NetConfig(arch=a, encoder=e), (128,) * 2 if a == "pan" else (64,) * 2) for a, e in (*SMP, *ODD)},
}


def spec(config, patch=(64, 64), precision="fp32"):
    return NetSpec(
        config=config,
        in_channels=1,
        classes=3,
        patch=patch,
        spacing=(1.5,) * len(patch),
        precision=precision,
        channels_last=True,
    )


@functools.cache
def network(name):
    """One for all tests here, which leave it in eval mode as it is."""
    torch.manual_seed(0)
    config, patch = NETS[name]
    return maker(spec(config, patch))(decoders=2, scales=4).eval()


def image(name, odd=()):
    torch.manual_seed(1)
    return torch.randn(2, 1, *(odd or NETS[name][1]))


def same(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_the_halves_are_the_whole_at_any_size_and_scales_are_full_size_float32(name):
    net, odd = network(name), tuple(edge + add for edge, add in zip(NETS[name][1], (6, -19, 3), strict=False))
    given = image(name, odd)
    features = net.encode(given)
    whole = net(given)
    assert same(whole, net.decode(features))
    assert [(scale.shape, scale.dtype) for scale in whole] == [((2, 3, *odd), torch.float32)] * 4
    assert all((scale - whole[0]).abs().max() > 1e-4 for scale in whole[1:])
    assert torch.equal(features.rows(slice(1, 2)).levels[0], features.levels[0][1:])
    # Convolutions of one image may add up in another order than those of two.
    for part, scale in zip(net.decode(features.rows(torch.tensor([1]))), whole, strict=True):
        torch.testing.assert_close(part, scale[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", NETS)
@torch.no_grad()
def test_every_level_that_was_learnt_is_changed_and_no_other(name):
    net, given = network(name), image(name)
    features = net.encode(given)
    seen = []
    changed = features.changed(lambda x: seen.append(x) or x + 1)
    pairs = list(zip(features.levels, changed.levels, strict=True))
    assert len(seen) == sum(not torch.equal(before, after) for before, after in pairs) >= 2
    for before, after in pairs:
        learnt = before.ndim == given.ndim and before.shape[1] > 0 and not torch.equal(before, given)
        torch.testing.assert_close(after, before + 1 if learnt else before)
    assert not same(net.decode(features), net.decode(changed))
    assert same(net.decode(features), net.decode(features.changed(lambda x: x)))
    heads = net.decode(features, 1, [lambda x: x, lambda x: 0 * x, lambda x: x, lambda x: x])
    plain = net.decode(features, 1)
    assert [torch.equal(a, b) for a, b in zip(heads, plain, strict=True)] == [True, False, True, True]


@pytest.mark.parametrize("name", NETS)
def test_decoders_differ_and_each_learns_by_itself(name):
    net, given = network(name), image(name)
    features = net.encode(given)
    first, second = net.decode(features), net.decode(features, 1)
    assert all((a - b).abs().max() > 1e-4 for a, b in zip(first, second, strict=True))
    of = [
        {part for part, _ in net.named_parameters() if part.startswith(begins)}
        for begins in (("body.decoder", "body.segmentation_head", "body.coarse.0"), ("body.others", "body.coarse.1"))
    ]
    assert all(of)
    for number, scales in enumerate((first, second)):
        loss = sum(scale.square().mean() for scale in scales)
        names, parameters = zip(*net.named_parameters(), strict=True)
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        reached = {part for part, g in zip(names, gradients, strict=True) if g is not None and g.abs().max() > 0}
        assert reached & of[number] and not reached & of[1 - number]
        assert any("encoder" in part or part.startswith("body.blocks") for part in reached)
        heads = {part for part in of[number] if part.endswith("weight") and "coarse" in part}
        assert len(heads) == 3 and heads <= reached


@pytest.mark.parametrize("patch", [(32, 32), (8, 32, 32)])
def test_decoders_of_our_unet_go_up_in_ways_of_their_own(patch):
    torch.manual_seed(0)
    ways = ("linear", "transposed", "nearest")
    net = maker(spec(UNET, patch))(decoders=ways)
    features = net.encode(torch.randn(2, 1, *patch))
    logits = [net.decode(features, number)[0] for number in range(3)]
    assert all(out.shape == (2, 3, *patch) for out in logits)
    for out in logits:
        out.square().mean().backward(retain_graph=True)
    assert all(p.grad is not None for p in net.parameters())
    kinds = [type(d.ups[0]).__name__ for d in (net.body.decoder, *net.body.others)]
    assert kinds[0] == kinds[2] == "InterpolatedUp" and kinds[1].startswith("ConvTranspose")
    assert [d.ups[0].mode for d in (net.body.decoder, net.body.others[1])] == [
        "bilinear" if len(patch) == 2 else "trilinear",
        "nearest",
    ]


def test_group_norm_comes_with_every_decoder_and_scale():
    net = maker(spec(NetConfig(widths=(4, 8, 16), dropout=(0.0,) * 3, norm="group")))(decoders=2, scales=2)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in net.modules())
    assert len(net(torch.randn(2, 1, 64, 64))) == 2


@pytest.mark.parametrize(
    ("config", "scales", "reason"),
    [
        (UNET, 5, "no 5 to put heads on"),
        (NetConfig(arch="pspnet", encoder="mit_b0"), 4, "3 levels to put heads on, and not 4"),
        (NetConfig(arch="pan", encoder="tu-test_resnet"), 1, "Output size is too small"),
        (NetConfig(arch="dpt", encoder="resnet18"), 1, "Only Timm encoders"),
        (NetConfig(arch="unetplusplus", encoder="mit_b0"), 1, "mit_b0"),
    ],
)
def test_a_network_that_cannot_is_refused_with_a_reason(config, scales, reason):
    with pytest.raises(BenchError, match=reason):
        maker(spec(config))(scales=scales)


def test_a_way_up_and_a_setting_that_are_none_are_refused():
    with pytest.raises(UsageError, match="linear"):
        maker(spec(UNET))(decoders=("lineer", "nearest"))
    with pytest.raises(BenchError, match="norm"):
        maker(spec(UNET))(change={"norm": "layer"})
    with pytest.raises(BenchError, match="depth"):
        maker(spec(UNET))(change={"depth": 3})


@pytest.mark.parametrize(
    ("change", "size"),
    [
        ({"arch": "unet"}, (40, 27)),
        ({"arch": "Unet", "encoder": "mit_b0"}, (40, 27)),
        ({"arch": "dpt", "encoder": "tu-vit_tiny_patch16_224"}, (40, 27)),
        ({"arch": "Unet", "encoder": "tu-swin_tiny_patch4_window7_224"}, (64, 64)),  # of the patch alone
    ],
)
def test_a_method_may_change_the_network_of_the_recipe(change, size):
    start = NetConfig(arch="fpn", encoder="resnet18") if change["arch"] == "unet" else UNET
    net = maker(spec(start))(change=change).eval()
    with torch.no_grad():
        assert net(torch.randn(2, 1, *size))[0].shape == (2, 3, *size)


@pytest.mark.filterwarnings("ignore:Encoder does not have prefix tokens")
@torch.no_grad()
def test_a_transformer_without_tokens_is_decoded_and_its_size_is_its_own():
    config = NetConfig(arch="dpt", encoder="tu-test_vit_relpos")
    net = maker(spec(config, (160, 160)))().eval()
    features = net.encode(torch.randn(1, 1, 160, 160))
    assert [level.ndim for level in features.levels] == [4] * 4 and not features.image_level
    assert net.decode(features)[0].shape == (1, 3, 160, 160)
    with pytest.raises(BenchError, match="dynamic_img_size"):
        maker(spec(config, (64, 64)))()


@pytest.mark.parametrize("name", ["unet-2d", "Unet-mit_b0", "fpn-tu-test_resnet"])
@torch.no_grad()
def test_half_precision_gives_float32_from_the_halves_too(name):
    config, patch = NETS[name]
    net = maker(spec(config, patch, precision="bf16"))(decoders=2, scales=4).eval()
    net.load_state_dict(network(name).state_dict())
    features = net.encode(image(name))
    assert torch.bfloat16 in {level.dtype for level in features.levels}
    changed = features.changed(lambda x: x * 1.5)
    assert [level.dtype for level in changed.levels] == [level.dtype for level in features.levels]
    halves = net.decode(features)
    assert same(halves, net(image(name)))
    for half, full in zip(halves, network(name)(image(name)), strict=True):
        assert half.dtype == torch.float32
        torch.testing.assert_close(half, full, atol=0.2, rtol=0.1)


@pytest.mark.parametrize("name", ["unet-2d", "Unet-tu-test_resnet"])
@torch.no_grad()
def test_a_copy_of_a_network_with_scales_is_its_own(name):
    net, given = network(name), image(name)
    twin = copy.deepcopy(net)
    before = net(given)
    assert same(before, twin(given))
    for parameter in net.parameters():
        assert parameter.data_ptr() not in {p.data_ptr() for p in twin.parameters()}
    for parameter in twin.parameters():
        parameter.mul_(1.1)
    assert same(before, net(given)) and not same(before, twin(given))


@pytest.mark.parametrize(
    ("config", "begins"),
    [
        (UNET, {"blocks", "decoder"}),
        *[
            (NetConfig(arch=arch, encoder=encoder), {"encoder", "decoder", "segmentation_head"})
            for arch, encoder in SMP
        ],
    ],
)
def test_a_plain_network_has_the_names_that_model_folders_hold(config, begins):
    net = maker(spec(config, (128, 128)))()
    assert {name.split(".")[1] for name in net.state_dict()} == begins
    if config.arch != "unet":
        given = {"encoder_weights": None, "in_channels": 1, "classes": 3}
        theirs = smp.create_model(config.arch, config.encoder, **given).state_dict()
        assert {f"body.{name}": value.shape for name, value in theirs.items()} == {
            name: value.shape for name, value in net.state_dict().items()
        }


def test_our_unet_has_the_names_and_shapes_that_it_always_had():
    shapes = {name: tuple(value.shape) for name, value in maker(spec(UNET))().state_dict().items()}
    assert len(shapes) == 136
    assert shapes["body.blocks.0.0.weight"] == (4, 1, 3, 3)
    assert shapes["body.blocks.4.5.running_var"] == (8,)
    assert shapes["body.decoder.ups.0.conv.weight"] == (8, 8, 1, 1)
    assert shapes["body.decoder.blocks.3.0.weight"] == (4, 8, 3, 3)
    assert shapes["body.decoder.head.weight"] == (3, 4, 3, 3)


@torch.no_grad()
def test_what_is_compiled_is_what_ran_before(monkeypatch):
    """Traced as ever, but run by torch's own operators: a C++ compiler takes a minute."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    inside = functools.partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", inside)
    for name in ("unet-2d", "Unet-tu-test_resnet"):
        net, given = copy.deepcopy(network(name)), image(name)
        whole, features = net(given), net.encode(given)
        net.compile_body()
        compiled = net.encode(given)
        assert compiled.image_level == features.image_level
        for one, other in zip(
            [*net(given), *net.decode(compiled), *compiled.levels], [*whole, *whole, *features.levels], strict=True
        ):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
