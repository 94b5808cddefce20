import gzip
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from acdc_tree import AFFINE, SHAPE, acdc_tree, frame, save
from said import said

from converters.check import check
from converters.convert import Report, convert
from converters.dataset import Dataset
from converters.errors import BenchError, EnvironmentFault, UsageError
from converters.phantoms.mark import TOKEN
from converters.volume import read_label, read_nifti


def state(root: Path) -> dict[str, tuple[str, int, int]]:
    """Every file: content, inode and time."""
    return {
        path.relative_to(root).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_ino,
            path.stat().st_mtime_ns,
        )
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def contents(root: Path) -> dict[str, str]:
    return {name: digest for name, (digest, _, _) in state(root).items()}


def one(reports: list[Report]) -> Report:
    (report,) = reports
    return report


def test_a_second_conversion_rewrites_no_file(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    first = one(convert("acdc", raw, tmp_path / "data"))
    before = state(tmp_path / "data")
    second = one(convert("acdc", raw, tmp_path / "data", jobs=2))
    assert (first.cases, first.unchanged, first.failures) == (4, 0, [])
    assert (second.cases, second.unchanged, second.failures) == (4, 4, [])
    assert state(tmp_path / "data") == before


@pytest.mark.fault(52)
def test_workers_and_folders_do_not_change_a_byte(tmp_path: Path) -> None:
    here = acdc_tree(tmp_path / "raw")
    there = acdc_tree(tmp_path / "ein anderer Ordner für Rohdaten" / ("x" * 200))
    convert("acdc", here, tmp_path / "data")
    report = one(convert("acdc", there, tmp_path / "Zwölf — 心臓", jobs=3))
    assert report.cases == 4
    assert contents(tmp_path / "data" / "acdc") == contents(report.root)


def test_a_converted_folder_is_clean_and_holds_what_the_source_holds(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    root = one(convert("acdc", raw, tmp_path / "data")).root
    assert check(root) == []
    dataset = Dataset.load(root)
    assert dataset.content_sha256() == dataset.file.bench.content_sha256
    case = dataset.case("patient002-es")
    assert case.geometry.source_orientation == "LPS"
    assert case.geometry.spacing_mm == (1.5, 1.5, 8.0)
    source = nib.as_closest_canonical(nib.load(frame(raw, 2, number=9)))
    image = read_nifti(root / case.images["cine"].file)
    assert np.array_equal(image.array, np.asanyarray(source.dataobj))
    assert np.allclose(image.affine, source.affine)


@pytest.mark.fault(4)
def test_junk_is_listed_and_changes_nothing(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    convert("acdc", raw, tmp_path / "clean")
    (raw / "database" / ".DS_Store").write_bytes(b"x")
    (raw / "database" / "training" / "patient001" / "._patient001_frame01.nii.gz").write_bytes(b"x")
    (raw / "__MACOSX" / "training" / "patient009").mkdir(parents=True)
    (raw / "__MACOSX" / "training" / "patient009" / "Info.cfg").write_text("ED: 1")
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert len(report.junk) == 3
    assert "database/.DS_Store" in report.junk
    assert contents(tmp_path / "data") == contents(tmp_path / "clean")


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


def test_a_case_that_left_the_source_is_not_deleted_in_silence(tmp_path: Path) -> None:
    convert("acdc", acdc_tree(tmp_path / "raw"), tmp_path / "data")
    before = state(tmp_path / "data")
    with pytest.raises(BenchError, match="2 cases that are not in the source: patient002-ed, patient002-es"):
        convert("acdc", acdc_tree(tmp_path / "less", (1,)), tmp_path / "data")
    assert state(tmp_path / "data") == before


def test_skipped_cases_are_left_out_and_a_misspelt_one_is_an_error(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    report = one(convert("acdc", raw, tmp_path / "data", skip=("patient001_ED", "patient002")))
    assert [case.id for case in Dataset.load(report.root).cases] == ["patient001-es"]
    with pytest.raises(UsageError, match="did you mean 'patient001-ed'"):
        convert("acdc", raw, tmp_path / "data", skip=("patient001_EDD",))


def test_phantoms_get_a_name_of_their_own_and_never_mix_with_real_cases(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    images = [frame(raw, 1), frame(raw, 1, number=8)]
    for path in images[:1]:
        data = bytearray(gzip.decompress(path.read_bytes()))
        data[148 : 148 + len(TOKEN)] = TOKEN.encode()
        path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(BenchError, match="made-up and real cases are mixed: patient001_ES bears no phantom mark"):
        convert("acdc", raw, tmp_path / "data")
    data = bytearray(gzip.decompress(images[1].read_bytes()))
    data[148 : 148 + len(TOKEN)] = TOKEN.encode()
    images[1].write_bytes(gzip.compress(bytes(data)))
    report = one(convert("acdc", raw, tmp_path / "data"))
    assert (report.name, report.root.name) == ("phantom-acdc", "phantom-acdc")
    assert Dataset.load(report.root).file.licence == "CC0-1.0"


@pytest.mark.parametrize(
    ("source", "folder", "told"),
    [
        ("acdx", "raw", "did you mean|Did you mean 'acdc'"),
        ("acdc", "none", "no such folder"),
        ("acdc", ".", "no acdc data here"),
    ],
)
def test_an_unknown_source_and_an_empty_folder_are_errors(tmp_path: Path, source: str, folder: str, told: str) -> None:
    with pytest.raises(BenchError, match=told):
        convert(source, tmp_path / folder, tmp_path / "data")


@pytest.mark.fault(53)
def test_the_raw_folder_is_only_read(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw")
    before = state(raw)
    for path in raw.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    assert one(convert("acdc", raw, tmp_path / "data")).cases == 4
    assert state(raw) == before


def test_no_output_names_the_machine_the_folder_or_the_day(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw-of-smith")
    convert("acdc", raw, tmp_path / "data")
    words = [b"raw-of-smith", str(tmp_path).encode(), os.uname().nodename.encode(), time.strftime("%Y-%m-%d").encode()]
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert not [word for word in words if word in said(path)], path


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


def test_images_keep_their_type_where_the_format_has_it(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1, 2))
    values = {(1, 1): np.uint8(7), (1, 8): np.uint16(65535), (2, 1): np.float64(0.25), (2, 9): np.int32(-70000)}
    for (patient, number), value in values.items():
        array = np.zeros(SHAPE, value.dtype)
        array[4, 4, 1] = value
        save(frame(raw, patient, number=number), array)
    dataset = Dataset.load(one(convert("acdc", raw, tmp_path / "data")).root)
    images = {case.id: case.images["cine"] for case in dataset.cases}
    assert {case: image.dtype for case, image in images.items()} == {
        "patient001-ed": "int16",
        "patient001-es": "uint16",
        "patient002-ed": "float32",
        "patient002-es": "float32",
    }
    assert images["patient002-es"].range == (-70000.0, 0.0)
    assert read_label(dataset.root / "labelsTr" / "patient001-ed.nii.gz").array.max() == 3
