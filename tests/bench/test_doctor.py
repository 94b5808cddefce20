"""What the doctor says of packages, folders, the clock and data of a machine that is not well."""

import contextlib
import json
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from findings import Usage, breaks, warns
from tiny import tiny_dataset

from bench import doctor, doctor_data, doctor_folders, doctor_machine
from converters.dataset import Dataset

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
