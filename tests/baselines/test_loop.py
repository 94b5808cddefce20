"""A step: no value is read, its log and its rate, one kernel for all weights, networks that are compiled."""

import functools
import itertools
import os
import signal

import msgspec
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from baselines import method as contract
from baselines.batch import Batch
from baselines.cache import prepare
from baselines.config import AugmentConfig, NetConfig, NetSpec
from baselines.device import compiles
from baselines.log import Log
from baselines.loop import Loop
from baselines.model import load_model
from baselines.nets import maker
from baselines.optimizer import make_optimizer
from baselines.train import Setting, train
from converters.errors import BenchError, EnvironmentFault

CPU = torch.device("cpu")
DEEP = NetConfig(widths=(4,) * 5, dropout=(0.0,) * 5)  # as many levels as any method has heads on


class Watch(TorchDispatchMode):
    """Refuses what makes the host wait for a GPU."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket
        picks = name in (torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten._index_put_impl_)
        masked = picks and any(index is not None and index.dtype == torch.bool for index in args[1])
        reads = name in (torch.ops.aten._local_scalar_dense, torch.ops.aten.nonzero, torch.ops.aten.masked_select)
        assert not reads and not masked, function
        return function(*args, **(kwargs or {}))


def loop_over(view, config, parts=1):
    """A loop as `train` makes it."""
    spec = NetSpec(
        config=config.net,
        in_channels=1,
        classes=view.classes,
        patch=config.patch,
        spacing=(1.0,) * len(config.patch),
        precision=config.precision,
        channels_last=config.channels_last,
    )
    method = contract.build(contract.find(config.method), maker(spec), config.options)
    return Loop(method, make_optimizer(method, config, CPU), prepare(view, config), config, 0, CPU, parts)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("name", contract.names())
@pytest.mark.parametrize("shown", ["partly", "whole"])
def test_no_step_reads_a_value_from_the_device(name, parts, shown, request, small, tmp_path):
    augment = AugmentConfig(elastic=0.1, flip=True, quarter_turns=True)
    config = small(method=name, net=DEEP, clip=1.0, augment=augment)
    loop = loop_over(request.getfixturevalue(shown), config, parts)
    with Watch():
        assert list(itertools.islice(loop.steps(1, tmp_path / "log.jsonl"), 4)) == [1, 2, 3, 4]


def test_samples_are_picked_side_by_side_or_by_number():
    values = torch.arange(4.0)
    for annotated, with_, without in (
        ((True, True, False, False), slice(0, 2), slice(2, 4)),
        ((True, True, True, True), slice(0, 4), slice(0)),
        ((True, False, True, False), torch.tensor([0, 2]), torch.tensor([1, 3])),
    ):
        batch = Batch(*[values[:, None]] * 6, annotated)
        for rows, expected in ((batch.rows(annotated=True), with_), (batch.rows(annotated=False), without)):
            assert type(rows) is type(expected)
            assert torch.equal(values[rows], values[expected])
    assert batch.part(1, 2).annotated == (False, False)
    assert batch.part(1, 2).image.tolist() == [[1.0], [3.0]]


def test_what_the_watch_refuses():
    values = torch.arange(4.0)
    for waits in (lambda: values.sum().item(), lambda: values[values > 1], lambda: bool((values > 1).all())):
        with Watch(), pytest.raises(AssertionError, match="aten"):
            waits()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", contract.names())
def test_on_a_gpu_no_step_waits_for_it(name, partly, small, tmp_path):
    config = small(method=name, net=DEEP, clip=1.0, deterministic=False)
    loop = loop_over(partly, config)
    loop.device = torch.device("cuda")
    loop.method.to(loop.device)
    loop.optimizer = make_optimizer(loop.method, config, loop.device)
    steps = loop.steps(0, tmp_path / "log.jsonl")
    next(steps)
    torch.cuda.set_sync_debug_mode("error")
    try:
        next(steps)
        next(steps)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_log_that_is_written_later_holds_the_same_lines(tmp_path):
    for name in ("now", "later"):
        with Log(tmp_path / name, 0, ["a"], later=name == "later") as log:
            for step in range(25):
                log.see(
                    step, {"x": torch.tensor(step / 3), "y": torch.tensor(-0.0)}, torch.tensor([0]), line=step % 10 == 0
                )
                told = [msgspec.json.decode(line)["step"] for line in (tmp_path / name).open("rb")]
                lag = 10 if name == "later" else 0
                assert told == [n for n in (0, 10, 20) if n <= step - lag]
            log.settle()
    assert (tmp_path / "now").read_bytes() == (tmp_path / "later").read_bytes()
    assert (tmp_path / "now").read_bytes().startswith(b'{"step":0,"x":0.0,"y":-0.0}\n')


@pytest.mark.fault(67)
@pytest.mark.parametrize("when", ["line", "settle"])
def test_a_log_that_is_written_later_notices_an_infinite_loss_before_any_checkpoint(when, tmp_path):
    with Log(tmp_path / "log", 0, ["a", "b", "c"], later=True) as log:
        log.see(0, {"x": torch.tensor(1.0)}, torch.tensor([0]), line=True)
        log.see(
            10, {"x": torch.tensor(1.0), "y": torch.tensor(torch.nan)}, torch.tensor([2, 1, 2]), line=when == "line"
        )
        with pytest.raises(BenchError, match="nan at step 10") as caught:
            log.settle()
    assert caught.value.where == "cases b, c"
    assert (tmp_path / "log").read_bytes() == b'{"step":0,"x":1.0}\n'


@pytest.mark.fault(67, 69)
def test_who_asks_to_stop_gets_no_checkpoint_of_weights_that_are_no_numbers(partly, small, tmp_path):
    def interrupt(done: int, steps: int) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(BenchError, match="at step 3"):
        train(partly, small(lr=1e30, steps=20, checkpoint_every=20), tmp_path, Setting(progress=interrupt))
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_the_rate_without_a_sampler_is_measured_once_there_is_a_steady_state(partly, small, tmp_path):
    short = train(partly, small(), tmp_path / "short", Setting()).cost
    long = train(partly, small(steps=22, checkpoint_every=22), tmp_path / "long", Setting()).cost
    assert short.held_items_per_s is None
    assert long.held_items_per_s > 0
    assert long.items == 22 * 4
    assert short.macs == long.macs > 16 * 16 * 4 * 9  # the first convolution alone


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_one_kernel_moves_all_weights_on_a_gpu_and_there_alone(name, partly, small):
    config = small(optimizer=name)
    method = loop_over(partly, config).method
    assert make_optimizer(method, config, torch.device("cuda")).defaults["fused"]
    assert not make_optimizer(method, config, CPU).defaults["fused"]


def test_compiled_networks_keep_the_names_of_their_weights(partly, small, tmp_path, monkeypatch):
    config = small(method="mean_teacher", compile=True)
    try:
        compiles(config, CPU)
    except EnvironmentFault as fault:
        pytest.skip(fault.what)
    # Traced and differentiated as ever, but run by torch's own operators: a C++ compiler takes a minute.
    inside = functools.partialmethod(torch.nn.Module.compile, backend="aot_eager")
    monkeypatch.setattr(torch.nn.Module, "compile", inside)
    trained = train(partly, config, tmp_path / "compiled", Setting())
    plain = train(partly, small(method="mean_teacher"), tmp_path / "plain", Setting())
    assert trained.machine["compiled"] == "true"
    assert "compiled" not in plain.machine
    assert trained.cost.macs == plain.cost.macs
    methods = [load_model(tmp_path / name, CPU)[0] for name in ("compiled", "plain")]
    states = [method.state_dict() for method in methods]
    assert list(states[0]) == list(states[1])
    image = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    torch.testing.assert_close(methods[0].logits(image), methods[1].logits(image), rtol=1e-3, atol=1e-3)
    train(partly, config, tmp_path / "compiled", Setting())  # its checkpoint fits


def test_networks_that_cannot_be_compiled_are_an_error_only_where_that_was_asked_for(small, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setenv("CXX", "strange++")
    with pytest.raises(EnvironmentFault, match=r"strange\+\+"):
        compiles(small(compile=True), CPU)
    assert not compiles(small(), CPU)
    assert not compiles(small(), torch.device("cuda"))
    assert not compiles(small(compile=False), torch.device("cuda"))
