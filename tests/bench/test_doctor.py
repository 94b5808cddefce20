"""What the doctor says of a machine that is not well."""

from pathlib import Path

import pytest

from bench import doctor


@pytest.mark.fault(64)
@pytest.mark.parametrize(
    ("torch", "torchvision", "pins", "ok", "mend"),
    [
        ("2.6.0", "0.21.0", ["numpy", "torch==2.6.0"], True, ""),
        ("2.7.1", "0.21.0", ["numpy", "torch==2.6.0"], False, 'pip install "torch==2.6.0"'),
        ("2.7.1", "0.21.0", [], True, ""),
        ("2.7.1", None, [], False, "pip install torchvision"),
        (None, "0.21.0", [], False, "pip install torch"),
    ],
)
def test_torch_and_torchvision_must_be_a_pair(torch, torchvision, pins, ok, mend):
    finding = doctor.pairing(torch, torchvision, pins)
    assert (finding.ok, finding.mend) == (ok, mend)
    assert finding.required


def test_a_package_that_is_not_installed_has_no_version():
    assert doctor.version("no-such-package-at-all") is None
    assert doctor.version("numpy")


def test_disk_and_writing_are_judged_where_the_folder_would_be(tmp_path):
    folder = tmp_path / "not" / "yet"
    assert doctor.disk(folder).ok and doctor.writable(folder).ok
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_wrong():
    finding = doctor.writable(Path("/proc/none"))
    assert finding.ok is False and finding.required and finding.mend


def test_data_is_no_must(tmp_path):
    finding = doctor.found(tmp_path)
    assert finding.ok is None and "bench demo" in finding.mend
