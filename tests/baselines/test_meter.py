"""The meter: sums over segments, percentiles, stages, and what an interruption or an old checkpoint leaves."""

import itertools
import mmap
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
import torch
from torch import nn

from baselines import clock, host, meter
from baselines.clock import Clock, merged, percentiles
from baselines.config import NetConfig, NetSpec
from baselines.meter import Meter, Tally, cost, macs
from baselines.method import Method
from baselines.nets import make_net

CPU = torch.device("cpu")


@pytest.fixture
def at(monkeypatch):
    """Sets the time that meter and clock see, in seconds."""

    def set_to(seconds):
        monkeypatch.setattr(time, "perf_counter", lambda: seconds)

    set_to(0.0)
    return set_to


def spent(ends, at, before=None, *, warmup=2, start=0.0):
    at(start)
    made = Meter(CPU, before or Tally(), warmup)
    for end in ends:
        at(end)
        made.tick(4, 100)
    return made.tally()


def test_the_rate_leaves_the_warm_up_out_and_the_seconds_do_not(at):
    tally = spent([10, 11, 12, 13, 14.5], at)  # the first step is slow, as first steps are
    found = cost(tally, CPU, 4, "fp32")
    assert (found.seconds, found.items) == (14.5, 20)
    assert found.items_per_s == round(3 * 4 / 3.5, 3)
    assert found.voxels_per_s == pytest.approx(300 / 3.5, rel=1e-5)
    assert sum(tally.step_bins.values()) == 3  # from the end of the warm-up on


def test_an_interrupted_run_costs_the_sum_of_its_segments(at):
    first = spent([1, 2, 3, 4], at)
    both = spent([102, 103, 105, 107], at, first, start=100.0)
    assert (both.seconds, both.items, both.segments) == (11.0, 32, 2)
    assert (both.timed_seconds, both.timed_items, both.voxels, both.timed_voxels) == (6.0, 16, 800, 400)
    # The gap between two segments is nobody's step.
    assert both.step_bins == merged(first.step_bins, spent([102, 103, 105, 107], at, start=100.0).step_bins)
    assert percentiles(both.step_bins)["p99"] == pytest.approx(2000, rel=0.005)


def test_a_tally_in_the_middle_of_a_segment_changes_nothing_of_the_one_at_its_end(at):
    at(0.0)
    asked, silent = Meter(CPU, Tally(), 1), Meter(CPU, Tally(), 1)
    for end in (1, 2, 4):
        at(end)
        for one in (asked, silent):
            with one.stage("read"):
                pass
            one.tick(1)
        asked.tally()
    first, second = asked.tally(), silent.tally()
    alike = {"peak_host_mib": 0.0, "stages": {}}
    assert msgspec.structs.replace(first, **alike) == msgspec.structs.replace(second, **alike)
    assert first.segments == 1


def test_a_tally_of_an_older_checkpoint_goes_on():
    old = {"seconds": 5.0, "items": 8, "timed_seconds": 2.0, "timed_items": 4, "peak_host_mib": 9e9, "segments": 1}
    made = Meter(CPU, Tally(**old), warmup=0)
    made.tick(4)
    found = cost(made.tally(), CPU, 4, "fp32")
    assert (found.items, found.segments, found.peak_host_mib, found.energy_j) == (12, 2, 9e9, None)


def test_percentiles_are_within_half_a_percent_of_those_of_all_times():
    times = np.random.default_rng(0).lognormal(3, 1, 30_000)
    clocked = Clock(CPU)
    ends = itertools.accumulate([0.0, *(times / 1000)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock.time, "perf_counter", lambda: next(ends))
        for _ in range(len(times) + 1):
            clocked.tick()
    found = percentiles(clocked.bins)
    exact = np.percentile(times, [50, 90, 99], method="inverted_cdf")
    assert list(found.values()) == pytest.approx(list(exact), rel=0.0051)
    assert len(msgspec.json.encode(clocked.bins)) < 20_000  # what a checkpoint holds of 30 000 steps
    assert percentiles({}) == {}


def test_stages_add_up_over_threads_and_segments():
    made = Meter(CPU, Tally(stages={"read": 1.0}), warmup=0)
    together = threading.Barrier(4)

    def work(_):
        together.wait(10)
        for _ in range(50):
            with made.stage("read"):
                time.sleep(0.001)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    with pytest.raises(KeyError), made.stage("write"):
        raise KeyError
    found = cost(made.tally(), CPU, 1, "fp32").stages_s
    assert found["read"] >= 1.0 + 4 * 50 * 0.001  # no addition of another thread is lost
    assert list(found) == ["read", "write"]


def test_a_cost_without_the_newer_numbers_is_written_as_it_always_was():
    found = msgspec.json.decode(msgspec.json.encode(cost(Tally(segments=1), CPU, 2, "fp32")))
    assert set(found) == {
        *("seconds", "items", "items_per_s", "peak_host_mib", "peak_device_mib", "batch", "precision", "segments")
    }
    more = cost(Tally(), CPU, 2, "fp32", parts=2, macs=7, held_items_per_s=3.0)
    assert (more.parts, more.macs, more.held_items_per_s) == (2, 7, 3.0)


needs_proc = pytest.mark.skipif(not host._PROC.is_dir(), reason="needs /proc")


def _hold_fresh(size):
    """Fill new pages: an array might get what the allocator kept of earlier tests, which counts already."""
    with mmap.mmap(-1, size) as pages:
        pages.write(b"1" * size)


@needs_proc
def test_the_host_peak_holds_what_was_freed_and_the_processes_below(monkeypatch):
    monkeypatch.setattr(meter, "_LOOK_EVERY", 0.0)
    until = time.monotonic() + 60
    while host.children_peak_mib() > 50 and time.monotonic() < until:
        time.sleep(0.1)  # a process of an earlier test is on its way out
    made = Meter(CPU, Tally(), warmup=0)
    base = made.tally().peak_host_mib
    _hold_fresh(64 * 2**20)  # freed at once
    with_own = made.tally().peak_host_mib
    assert with_own > base + 50
    code = "import sys; held = bytearray(b'1') * (96 * 2**20); print('there', flush=True); sys.stdin.read()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        made.tick(1)  # the look that sees it
    finally:
        child.communicate()
    assert made.tally().peak_host_mib > with_own + 90


@needs_proc
def test_a_child_that_only_ran_a_program_is_not_counted_as_a_copy_of_us():
    ballast = np.ones(128 * 2**20, np.uint8)
    made = Meter(CPU, Tally(), warmup=0)
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert made.tally().peak_host_mib < host.own_peak_mib() + ballast.nbytes / 2**20


def test_multiply_adds_of_one_convolution_are_those_of_its_formula():
    layer = nn.Conv2d(3, 8, 5, padding=2)
    assert macs(layer, torch.zeros(1, 3, 20, 30)) == 20 * 30 * 8 * 3 * 5 * 5


def test_multiply_adds_of_the_unet_are_those_of_its_layers():
    config = NetConfig(widths=(4, 8, 16), dropout=(0.0, 0.1, 0.2))
    net = make_net(spec(config))
    sizes = []

    def note(layer, _, out):
        sizes.append(out.numel() * layer.in_channels * layer.weight[0, 0].numel())

    for part in net.modules():
        if isinstance(part, nn.Conv2d):
            part.register_forward_hook(note)
    assert macs(net, torch.zeros(1, 1, 32, 48)) == sum(sizes) > 0


def spec(config):
    return NetSpec(
        config=config,
        in_channels=1,
        classes=4,
        patch=(32, 48),
        spacing=(1.0, 1.0),
        precision="bf16",
        channels_last=True,
    )


def test_counting_multiply_adds_leaves_the_method_as_it_was():
    config = NetConfig(widths=(4, 8), dropout=(0.5, 0.5))
    method = Method(lambda: make_net(spec(config)))
    method.net.body.eval()  # a part that somebody froze stays so
    was = {name: value.clone() for name, value in method.state_dict().items()}
    modes = [part.training for part in method.modules()]
    drawn = torch.get_rng_state()
    assert macs(method, torch.randn(1, 1, 32, 48, generator=torch.Generator())) > 0
    assert all(torch.equal(value, was[name]) for name, value in method.state_dict().items())
    assert [part.training for part in method.modules()] == modes
    assert torch.equal(torch.get_rng_state(), drawn)
    assert all(parameter.grad is None for parameter in method.parameters())


class Event:
    """What the clock uses of torch.cuda.Event, on a made-up device."""

    def __init__(self, stream):
        self.stream = stream

    def record(self, _):
        self.at = self.stream.enqueue()

    def query(self):
        return self.at <= self.stream.done

    def elapsed_time(self, other):
        assert self.query() and other.query()  # torch raises here
        return other.at - self.at


class Stream:
    """Each piece of work takes 10 ms; `done` is how far the device has come."""

    def __init__(self):
        self.end = self.done = 0

    def enqueue(self):
        self.end += 10
        return self.end


def test_on_a_gpu_no_tick_waits_and_every_step_is_counted(monkeypatch):
    stream = Stream()
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event(stream))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    timed = Clock(torch.device("cuda"))
    for number in range(2000):
        timed.tick()
        stream.done = stream.end - 50 if number > 1000 else 0  # the device lags, at first by 1000 steps
    assert len(timed._events) < 600
    stream.done = stream.end
    timed.fold()
    assert sum(timed.bins.values()) == 1999
    assert percentiles(timed.bins)["p50"] == pytest.approx(10, rel=0.005)
