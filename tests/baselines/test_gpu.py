"""The driver's figures, with a made-up driver: which GPU is asked, what is summed, and that no answer ends a run."""

import os
import sys
import types

import pytest
import torch

from baselines import meter
from baselines.gpu import Gpu
from baselines.meter import Meter, Tally, cost

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ID = "ffc79498-8ff3-c2dc-3b0d-fafd804516ae"


class NVMLError(Exception):
    """As nvidia-ml-py's."""


class Driver(types.ModuleType):
    """What `Gpu` uses of pynvml. Two GPUs: ours is the second, so an index would ask the wrong one."""

    NVMLError = NVMLError

    def __init__(self):
        super().__init__("pynvml")
        self.millijoules, self.broken, self.running = 5_000_000, set(), []

    def _answer(self, name, value):
        if name in self.broken:
            raise NVMLError(name)
        return value

    def nvmlInit(self):  # noqa: N802
        return self._answer("init", None)

    def nvmlDeviceGetHandleByUUID(self, name):  # noqa: N802
        return self._answer("handle", {"GPU-other": 0, f"GPU-{ID}": 1}[name])

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):  # noqa: N802
        assert handle == 1
        return self._answer("energy", self.millijoules)

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        assert handle == 1
        return self._answer("running", self.running)


def process(pid, mib):
    return types.SimpleNamespace(pid=pid, usedGpuMemory=None if mib is None else mib * 2**20)


@pytest.fixture
def driver(monkeypatch):
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: types.SimpleNamespace(uuid=ID))
    return made


@pytest.fixture
def metered(driver, monkeypatch):
    """Meters on a made-up GPU."""
    for name, value in {"max_memory_allocated": 3 * 2**20, "max_memory_reserved": 5 * 2**20}.items():
        monkeypatch.setattr(torch.cuda, name, lambda device, value=value: value)
    for name in ("synchronize", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda device: None)
    monkeypatch.setattr(meter, "_LOOK_EVERY", 0.0)
    return lambda before=None: Meter(CUDA, before or Tally(), warmup=10**6)


def test_the_gpu_is_found_by_its_own_id_and_counts_joules(driver):
    assert Gpu(CUDA).energy_j() == 5000.0


def test_memory_is_that_of_this_process(driver):
    gpu = Gpu(CUDA)
    assert gpu.process_mib() is None  # in a container the driver may know us by another number
    driver.running = [process(1, 900), process(os.getpid(), 700), process(os.getpid(), None)]
    assert gpu.process_mib() == 700
    driver.running = [process(os.getpid(), None)]
    assert gpu.process_mib() is None


@pytest.mark.parametrize("broken", ["init", "handle"])
def test_a_driver_that_cannot_be_asked_gives_no_number(driver, broken):
    driver.broken.add(broken)
    driver.running = [process(os.getpid(), 700)]
    assert (Gpu(CUDA).energy_j(), Gpu(CUDA).process_mib()) == (None, None)


def test_one_question_without_an_answer_spares_the_other(driver):
    driver.running = [process(os.getpid(), 700)]
    driver.broken = {"energy"}
    assert (Gpu(CUDA).energy_j(), Gpu(CUDA).process_mib()) == (None, 700)
    driver.broken = {"running"}
    assert (Gpu(CUDA).energy_j(), Gpu(CUDA).process_mib()) == (5000.0, None)


def test_without_the_library_or_on_a_cpu_nothing_is_asked(driver, monkeypatch):
    assert Gpu(CPU).energy_j() is None
    monkeypatch.setitem(sys.modules, "pynvml", None)  # as if it were not installed
    assert (Gpu(CUDA).energy_j(), Gpu(CUDA).process_mib()) == (None, None)


def test_energy_is_summed_over_segments_and_memory_is_the_largest(driver, metered):
    first = metered()
    driver.running = [process(os.getpid(), 800)]
    first.tick(1)
    driver.running = [process(os.getpid(), 600)]
    driver.millijoules += 1500
    tally = first.tally()
    driver.millijoules += 10**6  # somebody else's, between two segments
    second = metered(tally)
    driver.millijoules += 2500
    found = cost(second.tally(), CUDA, 1, "bf16")
    assert (found.energy_j, found.peak_process_mib) == (4.0, 800.0)
    assert (found.peak_device_mib, found.peak_reserved_mib) == (3.0, 5.0)


def test_a_segment_without_a_counter_leaves_no_sum(driver, metered):
    with_energy = metered().tally()
    driver.broken = {"energy"}
    without = metered(with_energy).tally()
    driver.broken = set()
    assert (with_energy.energy_j, without.energy_j, metered(without).tally().energy_j) == (0.0, None, None)
