"""What a conversion writes, reads and leaves alone, the first time and again."""

import gzip
import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from acdc_tree import SHAPE, acdc_tree, frame, save
from said import said
from stated import contents, one, state

from converters.check import check
from converters.convert import convert
from converters.dataset import Dataset
from converters.errors import BenchError, UsageError
from converters.phantoms.mark import TOKEN
from converters.volume import read_label, read_nifti


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
