"""What the doctor says of torch, GPU and memory of a machine that is not well."""

import builtins
import re

import pytest
from findings import breaks, warns

from bench import doctor_machine
from bench.doctor_machine import Card, Cuda


@pytest.mark.fault(64)
@pytest.mark.parametrize(
    ("torch", "torchvision", "pins", "ok", "mend"),
    [
        ("2.6.0", "0.21.0", ["numpy", "torch==2.6.0"], True, ""),
        ("2.7.1", "0.21.0", ["numpy", "torch==2.6.0"], False, 'pip install "torch==2.6.0"'),
        ("2.13.1", "0.29.2", ["numpy", "torch (>=2.14.0)"], False, 'pip install "torch>=2.14.0"'),
        ("2.15.0", "0.29.2", ["torch (>=2.14.0)", "no requirement at all"], True, ""),
        ("2.7.1", "0.21.0", [], True, ""),
        ("2.7.1", None, [], False, "pip install torchvision"),
        (None, "0.21.0", [], False, "pip install torch"),
    ],
)
def test_torch_and_torchvision_must_be_a_pair(torch, torchvision, pins, ok, mend):
    finding = doctor_machine.pairing(torch, torchvision, pins)
    assert (finding.ok, finding.mend) == (ok, mend)
    assert finding.required


@pytest.mark.fault(64)
def test_builds_that_do_not_fit_are_seen_when_they_are_imported(monkeypatch):
    whole = builtins.__import__

    def broken(name, *more):
        if name == "torchvision":
            raise RuntimeError("operator torchvision::nms does not exist\nmore of this")
        return whole(name, *more)

    monkeypatch.setattr(builtins, "__import__", broken)
    finding = doctor_machine.imports()
    assert breaks(finding) and finding.value == "operator torchvision::nms does not exist"
    assert re.fullmatch(r'pip install --force-reinstall "torch==\d+\.\d+\.\d+" torchvision', finding.mend)
    told = [found.name for found in doctor_machine.examine()]
    assert "gpu" not in told and {"memory", "shared memory"} <= set(told)  # the rest is looked at all the same


H200 = Card("NVIDIA H200", 139.8, 139.0, (9, 0))
WELL = Cuda("13.2", ("sm_80", "sm_90"), (H200,), "570.1", True, None)


@pytest.mark.fault(63)
@pytest.mark.parametrize(
    ("change", "said", "mend"),
    [
        ({"built": None}, "built for the CPU", "not from an index of CPU builds"),
        ({"devices": False}, "no device file", "--gpus all"),
        ({"said": "driver is too old (found 11040)"}, "CUDA 13.2 do not work together: driver is too old", "update"),
        ({"driver": None}, "driver unknown and torch for CUDA 13.2", "update the driver"),
    ],
)
def test_a_gpu_that_cannot_be_used_is_a_warning_with_its_mend(change, said, mend):
    (finding,) = doctor_machine.gpus(WELL._replace(cards=(), **change))
    assert warns(finding) and said in finding.value and mend in finding.mend


def test_no_gpu_and_a_hidden_one_are_no_fault():
    (none,) = doctor_machine.gpus(Cuda(None, (), (), None, False, None))
    assert none.ok is None and "preset cpu" in none.value
    (hidden,) = doctor_machine.gpus(WELL._replace(cards=(), hidden="-1"))
    assert hidden.ok is None and "CUDA_VISIBLE_DEVICES='-1'" in hidden.value and hidden.mend == "unset it to use it"


def test_a_gpu_is_judged_by_its_memory_and_by_the_kernels_of_this_torch():
    busy, old = H200._replace(free_gib=0.2), H200._replace(name="Tesla K80", capability=(3, 7))
    well, full, strange = doctor_machine.gpus(WELL._replace(cards=(H200, busy, old)))
    assert well.ok and "NVIDIA H200, 140 GiB" in well.value and "driver 570.1" in well.value
    assert warns(full) and "nvidia-smi" in full.mend and full.name == "gpu cuda:1"
    assert warns(strange) and "sm_80, sm_90 alone" in strange.value and "sm_37" in strange.mend


@pytest.mark.parametrize(
    ("capability", "archs", "runs"),
    [
        ((8, 6), ("sm_80", "sm_90"), True),
        ((7, 5), ("sm_80", "sm_90"), False),
        ((8, 0), ("sm_86",), False),
        ((12, 0), ("sm_90", "compute_90"), True),
        ((12, 0), ("sm_90",), False),
        ((9, 0), ("sm_90a",), True),
        ((9, 0), (), True),
    ],
)
def test_kernels_run_within_a_major_version_and_as_ptx_on_later_ones(capability, archs, runs):
    (finding,) = doctor_machine.gpus(WELL._replace(archs=archs, cards=(H200._replace(capability=capability),)))
    assert finding.ok is runs


def test_what_torch_says_of_this_machine_is_found():
    findings = list(doctor_machine.examine())
    assert [finding.name for finding in findings][:2] == ["torch and torchvision", "torch import"]
    assert all(finding.ok is not False for finding in findings[:2])


MEMORY = {"MemTotal": 64.0, "MemAvailable": 40.0}


@pytest.mark.parametrize(
    ("gib", "limit", "ok", "value"),
    [
        (MEMORY, None, True, "64.0 GiB, 40.0 available"),
        (MEMORY | {"MemAvailable": 1.5}, None, False, "64.0 GiB, 1.5 available"),
        (MEMORY, (8.0, 1.0), True, "8.0 of 64.0 GiB allowed here, 7.0 available"),
        (MEMORY, (8.0, 7.5), False, "8.0 of 64.0 GiB allowed here, 0.5 available"),
        (MEMORY, (2**33, 1.0), True, "64.0 GiB, 40.0 available"),
        ({}, None, None, "unknown"),
    ],
)
def test_memory_is_what_is_left_here_and_allowed(gib, limit, ok, value):
    finding = doctor_machine.memory(gib, limit)
    assert (finding.ok, finding.value) == (ok, value)
    assert warns(finding) == (ok is False)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("memory.max", "memory.current", "memory.stat"), "inactive_file"),
        (("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"), "total_inactive_file"),
    ],
)
def test_the_limit_of_a_container_is_read(tmp_path, monkeypatch, names, kept):
    monkeypatch.setattr(doctor_machine, "_CGROUP", tmp_path)
    monkeypatch.setattr(doctor_machine, "_meminfo", lambda: MEMORY)
    for name, text in zip(names, (f"{4 * 2**30}\n", f"{3 * 2**30}\n", f"anon 1\n{kept} {2**30}\n"), strict=True):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    told = {finding.name: finding.value for finding in doctor_machine.examine()}
    assert told["memory"] == "4.0 of 64.0 GiB allowed here, 2.0 available"
    (tmp_path / names[0]).write_text("max\n")
    told = {finding.name: finding.value for finding in doctor_machine.examine()}
    assert told["memory"] == "64.0 GiB, 40.0 available"
