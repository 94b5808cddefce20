"""What the doctor says of a machine that is not well."""

import builtins
import contextlib
import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from tiny import tiny_dataset

from bench import doctor, doctor_data, doctor_folders, doctor_machine
from bench.doctor_machine import Card, Cuda
from converters.dataset import Dataset


def warns(finding):
    """Something is not right, and the runs go on: no exit code."""
    return finding.ok is False and not finding.required and bool(finding.mend)


def breaks(finding):
    return finding.ok is False and finding.required and bool(finding.mend)


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


Usage = namedtuple("Usage", "total used free")
Inodes = namedtuple("Inodes", "f_files f_favail")


def test_little_shared_memory_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**26, 0, 2**26))
    small = doctor_machine.shared()
    assert warns(small) and "--shm-size" in small.mend and small.value == "0.06 GiB, 0.06 free"
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**33, 0, 2**33))
    assert doctor_machine.shared().ok
    monkeypatch.setattr(doctor_machine, "_SHARED", tmp_path / "none")
    assert doctor_machine.shared().ok is None


def test_a_package_that_is_not_installed_has_no_version():
    assert doctor.version("no-such-package-at-all") is None
    assert doctor.version("numpy")


def test_packages_that_are_absent_are_named_with_the_line_that_installs_them(monkeypatch):
    assert doctor.packages().ok
    there = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: None if name in ("nibabel", "click") else there(name))
    finding = doctor.packages()
    assert breaks(finding) and finding.mend == "pip install click nibabel"


def test_an_old_python_is_wrong(monkeypatch):
    assert doctor.python().ok
    monkeypatch.setattr(doctor, "LEAST_PYTHON", (99, 0))
    assert breaks(doctor.python()) and doctor.python().mend == "use Python 99.0 or newer"


def test_versions_are_compared_with_the_lock(tmp_path):
    lock = tmp_path / "constraints.txt"
    assert doctor.versions(lock).ok is None
    lock.write_text(f"# a remark\nnumpy=={doctor.version('numpy')}\nno-such-package==1.0\n")
    same = doctor.versions(lock)
    assert same.ok and same.value == "1 of 1 as in constraints.txt"
    names = ["click", "msgspec", "nibabel", "scipy", "torch"]
    lock.write_text(lock.read_text() + "".join(f"{name}==0.0.1\n" for name in names))
    other = doctor.versions(lock)
    assert warns(other) and "pip install -c constraints.txt" in other.mend
    assert other.value.startswith(f"1 of 6 as in constraints.txt; click {doctor.version('click')} (not 0.0.1), msgspec")
    assert other.value.endswith(" and 1 more")


def test_folders_are_judged_where_they_would_be_and_nothing_is_left(tmp_path):
    folder = tmp_path / "not" / "yet"
    findings = list(doctor_folders.examine({"runs": folder, "cache": None}))
    assert {finding.ok for finding in findings[:-1]} == {True}
    assert [finding.name.split(" ")[0] for finding in findings] == ["disk", "inodes", "write", "lock", "clock", "cache"]
    assert findings[-1].ok is None and "in memory" in findings[-1].value
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_wrong():
    findings = {finding.name: finding for finding in doctor_folders.examine({"runs": Path("/proc/none")})}
    assert breaks(findings["write to /proc/none"]) and breaks(findings["lock in /proc/none"])
    assert "clock at /proc/none" not in findings


def test_a_full_disk_and_one_without_room_for_names_are_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 0, 2**29))
    assert breaks(doctor_folders.disk(tmp_path)) and doctor_folders.disk(tmp_path).value == "0.5 GiB free"
    monkeypatch.setattr(os, "statvfs", lambda path: Inodes(10**6, 17))
    assert breaks(doctor_folders.inodes(tmp_path)) and doctor_folders.inodes(tmp_path).value == "17 files free"
    monkeypatch.setattr(os, "statvfs", lambda path: Inodes(0, 0))
    assert doctor_folders.inodes(tmp_path).ok is None


@pytest.mark.fault(72)
def test_a_disk_on_which_a_lock_keeps_nobody_out_is_wrong(tmp_path, monkeypatch):
    assert doctor_folders.lockable(tmp_path).ok
    monkeypatch.setattr(doctor_folders, "locked", lambda folder: contextlib.nullcontext())
    finding = doctor_folders.lockable(tmp_path)
    assert breaks(finding) and finding.value == "two processes can have it at once"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(87)
def test_a_folder_that_anybody_may_change_is_a_warning(tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    for mode, wrong in ((0o755, False), (0o1777, False), (0o777, True), (0o2777, True)):
        shared.chmod(mode)
        findings = list(doctor_folders.rights(shared))
        assert bool(findings) == wrong and all(warns(finding) and "chmod" in finding.mend for finding in findings)


NOW = 1.8e9


@pytest.mark.fault(86)
@pytest.mark.parametrize(
    ("now", "written", "newest", "ok", "value"),
    [
        (NOW, NOW + 1, NOW - 1e6, True, "fits"),
        (NOW, NOW + 300, NOW - 1e6, False, "the disk's time is +300 s off this machine's"),
        (NOW, NOW - 3600, NOW - 1e6, False, "the disk's time is -3600 s off this machine's"),
        (NOW, NOW, NOW + 30 * 86400, False, "30 days behind the newest file of this suite"),
    ],
)
def test_a_clock_that_does_not_fit_is_a_warning(tmp_path, now, written, newest, ok, value):
    finding = doctor_folders.timing(tmp_path, now, written, newest)
    assert (finding.ok, finding.value) == (ok, value)
    assert warns(finding) != ok


def test_data_is_no_must(tmp_path):
    (finding,) = doctor_data.examine(tmp_path, full=False)
    assert finding.ok is None and "bench demo" in finding.mend


def lose(dataset: Dataset) -> None:
    dataset.path(dataset.cases[0].label.file).unlink()


def empty(dataset: Dataset) -> None:
    dataset.path(dataset.cases[0].label.file).write_bytes(b"")


def change_a_sidecar(dataset: Dataset) -> None:
    path = dataset.root / "cases" / f"{dataset.cases[0].id}.json"
    path.write_text(path.read_text().replace(dataset.cases[0].label.data_sha256, "0" * 64))


def change_a_voxel(dataset: Dataset) -> None:
    first, second = (dataset.path(case.label.file) for case in dataset.cases[:2])
    shutil.copy(first, second)


@pytest.mark.parametrize(
    ("spoil", "quick", "said"),
    [
        (lose, True, "labelsTr/s00-ed.nii.gz cannot be read"),
        (empty, True, "labelsTr/s00-ed.nii.gz is empty"),
        (change_a_sidecar, True, "content_sha256 is not that of the sidecars"),
        (change_a_voxel, False, "labelsTr/s00-es.nii.gz does not hold the voxels its sidecar names"),
    ],
)
def test_data_that_are_not_what_was_converted_are_wrong(bench, tmp_path, spoil, quick, said):
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 2, shape=(16, 16, 3))
    for full in (False, True):
        assert doctor_data.verified(dataset.root, full=full).ok
    spoil(dataset)
    finding = doctor_data.verified(dataset.root, full=False)
    assert finding.ok is not quick
    assert breaks(doctor_data.verified(dataset.root, full=True))
    words = ["doctor", "--data", tmp_path / "data", "--runs", tmp_path, "--json"]
    done = bench(*words, *([] if quick else ["--full"]))
    told = {found["name"]: found for found in map(json.loads, done.out.splitlines())}
    assert done.code == 4 and told["data tiny"]["ok"] is False and told["data tiny"]["required"] is True
    assert "bench check" in told["data tiny"]["mend"]
    if not quick:
        assert said in told["data tiny"]["value"] and bench(*words).code == 0
    else:
        assert said in finding.value


def test_warnings_leave_with_0_and_are_said_with_their_mend(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_machine, "LEAST_MEMORY_GIB", 1e6)
    done = bench("doctor", "--data", tmp_path, "--runs", tmp_path, "--cache", "none")
    assert done.code == 0 and "warning" in done.out and "WRONG" not in done.out
    assert "memory: end other programs" in done.err
