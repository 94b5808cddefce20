"""A broken case is refused by name, the others convert, and what was good before stays."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from acdc_tree import AFFINE, acdc_tree, frame, save
from stated import contents, one, state

from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.errors import BenchError, EnvironmentFault


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def changed_label(change: Callable[[np.ndarray], np.ndarray], affine: np.ndarray = AFFINE) -> Callable[[Path], None]:
    return lambda path: save(path, change(np.asanyarray(nib.load(path).dataobj)), affine)


def with_five(label: np.ndarray) -> np.ndarray:
    label[0, 0, :2] = 5
    return label


def moved(mm: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[0, 3] += mm
    return affine


CASE_FAULTS: dict[str, tuple[str, Callable[[Path], None], str]] = {
    "image cut in half": ("", halve, "patient001_frame01.nii.gz: the gzip data is cut off"),
    "image is empty": ("", lambda p: p.write_bytes(b""), "the file is empty"),
    "image is html": ("", lambda p: p.write_bytes(b"<html>log in</html>"), "is HTML, the download failed"),
    "image is absent": ("", lambda p: p.unlink(), "there is no such file"),
    "image with NaN": ("", changed_label(lambda a: np.where(a > 800, np.nan, a)), "are NaN or infinite, the first at"),
    "image beyond float32": ("", changed_label(lambda a: a * 1e300), "cine holds numbers up to .*e.302; float32 ends"),
    "label is absent": ("_gt", lambda p: p.unlink(), "there is no such file"),
    "label with a value outside the map": (
        "_gt",
        changed_label(with_five),
        r"values outside \[0, 1, 2, 3\]: 5 \(2 voxels\)",
    ),
    "label with fractions": ("_gt", changed_label(lambda a: a * 0.5), "are no integers"),
    "label with negatives": ("_gt", changed_label(lambda a: a.astype(np.int16) - 1), "label values from -1"),
    "label with 300 values": ("_gt", changed_label(lambda a: a.astype(np.int16) + 300), "to 303"),
    "label of another size": ("_gt", changed_label(lambda a: a[:-1]), "label has 8x8x3 voxels, channel cine has 9x8x3"),
    "label 2 mm off": ("_gt", changed_label(lambda a: a, moved(2)), "label and channel cine lie 2 mm apart"),
    "scribble 2 mm off": (
        "_scribble",
        changed_label(lambda a: a, moved(2)),
        "scribble and channel cine lie 2 mm apart",
    ),
    "scribble with a value outside the map": ("_scribble", changed_label(with_five), r"scribble: values outside .* 5"),
    "Info.cfg without ED": ("", lambda p: (p.parent / "Info.cfg").write_text("ES: 8\n"), "names no frame for ED"),
}


@pytest.mark.fault(31, 35, 41, 42, 43)
@pytest.mark.parametrize(("what", "spoil", "told"), CASE_FAULTS.values(), ids=CASE_FAULTS)
def test_a_broken_case_is_named_and_leaves_nothing_and_the_others_convert(
    tmp_path: Path, what: str, spoil: Callable[[Path], None], told: str
) -> None:
    raw = acdc_tree(tmp_path / "raw")
    spoil(frame(raw, 1, what))
    report = one(convert("acdc", raw, tmp_path / "data"))
    (failure,) = report.failures
    assert failure.what.startswith("patient001-ed: ")
    with pytest.raises(BenchError, match=told):
        raise failure
    assert failure.exit_code == 3
    assert "patient001" in str(failure.where)
    assert "--skip patient001_ED" in str(failure.mend)
    assert report.cases == 3
    assert not [path for path in report.root.rglob("*") if "patient001-ed" in path.name or path.name.endswith(".tmp")]
    assert check(report.root) == []
    assert "patient001-ed" in Dataset.load(report.root).file.bench.warnings[0]


@pytest.mark.fault(43)
def test_a_label_off_by_rounding_is_accepted(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    changed_label(lambda a: a, moved(1e-5))(frame(raw, 1, "_gt"))
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert (report.cases, report.failures) == (4, [])
    assert check(report.root) == []


def test_what_an_earlier_conversion_made_of_a_case_stays_when_its_source_breaks(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    convert("acdc", raw, tmp_path / "data")
    before = state(tmp_path / "data")
    halve(frame(raw, 1))
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert len(report.failures) == 1
    assert report.cases == 4
    assert state(tmp_path / "data") == before


def test_what_was_damaged_since_does_not_stay_when_its_source_breaks_too(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    root = one(convert("acdc", raw, tmp_path / "data")).root
    halve(frame(raw, 1))
    halve(root / "labelsTr" / "patient001-ed.nii.gz")
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert (report.cases, len(report.failures)) == (3, 1)
    assert not list(root.rglob("patient001-ed*"))
    assert check(root) == []


def test_nothing_is_written_when_every_case_is_broken(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    halve(frame(raw, 1))
    halve(frame(raw, 1, number=8))
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert len(report.failures) == 2
    assert report.cases == 0
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]


def test_a_mended_source_is_converted_and_the_rest_left_alone(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    good = frame(raw, 1).read_bytes()
    halve(frame(raw, 1))
    convert("acdc", raw, tmp_path / "data")
    before = state(tmp_path / "data")
    frame(raw, 1).write_bytes(good)
    report = one(convert("acdc", raw, tmp_path / "data"))
    after = state(tmp_path / "data")
    assert (report.cases, report.unchanged, report.failures) == (4, 3, [])
    kept = [name for name in before if "patient002" in name or "patient001-es" in name]
    assert len(kept) == 18
    assert all(before[name] == after[name] for name in kept)
    assert check(report.root) == []


def test_a_damaged_output_is_written_again(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    root = one(convert("acdc", raw, tmp_path / "data")).root
    before = contents(root)
    halve(root / "labelsTr" / "patient001-ed.nii.gz")
    (root / "annotations" / "scribble" / "patient002-es.nii.gz").unlink()
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert report.unchanged == 2
    assert contents(root) == before


@pytest.mark.fault(55)
def test_the_same_voxels_under_two_ids_are_refused(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1, 2, 3))
    frame(raw, 3).write_bytes(frame(raw, 1).read_bytes())
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert [failure.what for failure in report.failures] == [
        "patient001-ed: the same voxels as patient003-ed",
        "patient003-ed: the same voxels as patient001-ed",
    ]
    assert report.cases == 4
    assert not list(report.root.rglob("patient00[13]-ed*"))
    assert check(report.root) == []


def test_copies_that_the_collection_is_known_to_hold_are_kept_and_declared(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1, 74, 76))
    frame(raw, 76).write_bytes(frame(raw, 74).read_bytes())
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert report.failures == []
    assert Dataset.load(report.root).file.bench.copies == (("patient074", "patient076"),)
    assert check(report.root) == []


@pytest.mark.fault(50)
def test_two_layouts_at_once_give_an_id_clash(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    acdc_tree(raw / "copy")
    (raw / "copy" / "database" / "training").rename(raw / "training")
    with pytest.raises(BenchError, match="several cases would have one id: patient001_ED, patient001_ED"):
        convert("acdc", raw, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_a_killed_conversion_leaves_no_dataset_and_goes_on_from_there(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", tuple(range(1, 16)))
    convert("acdc", raw, tmp_path / "whole")
    code = (
        "import sys\nfrom pathlib import Path\nfrom converters.convert import convert\n"
        "convert('acdc', *map(Path, sys.argv[1:]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(raw), str(tmp_path / "data")])
    root = tmp_path / "data" / "acdc"
    while len(list(root.glob("cases/*.json"))) < 3:
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert not (root / "dataset.json").exists()
    (root / "imagesTr" / ".patient001-ed_0000.nii.gz.1.tmp").write_bytes(b"half")
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert 3 <= report.unchanged < 30
    assert contents(root) == contents(tmp_path / "whole" / "acdc")


def test_a_write_that_fails_is_told_and_takes_the_unfinished_case_back(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    code = (
        "import resource, signal, sys\nfrom pathlib import Path\nfrom converters.convert import convert\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))\n"
        "for failure in convert('acdc', *map(Path, sys.argv[1:]))[0].failures:\n    print(type(failure).__name__)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(raw), str(tmp_path / "data")], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == [EnvironmentFault.__name__] * 2
    assert not [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
