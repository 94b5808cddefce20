"""Networks of baselines/networks and those of smp that the table tells: they train, predict, go on, and are whole."""

import os
import signal
import sys

import msgspec
import pytest
import torch
from gates import batch_of, learn
from gates import spec as gate
from small_networks import ALL, MONAI, OURS, built, image, parameters, small_net, spec
from views import weights

from baselines import method as contract
from baselines import network
from baselines.config import NetConfig, PredictConfig, TrainConfig, plain
from baselines.nets import make_net, maker
from baselines.predict import Setting as Prediction
from baselines.predict import predict
from baselines.train import Setting, train
from converters.errors import BenchError, EnvironmentFault, UsageError


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
