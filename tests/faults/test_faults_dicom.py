"""Faults of DICOM series on the command line: the case is named and left out, its neighbour converts."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from outcomes import measured, refused
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless
from worlds import contents

from converters.files import natural_key
from converters.phantoms import chaos, ixi

UID = "1.2.826.0.1.3680043.8.498."
T2, CT = "MR/1/T2SPIR", "CT/2"

Spoil = Callable[[Path], object]


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """T2 of two people and CT of one."""
    root = tmp_path_factory.mktemp("scans")
    chaos.write(root, 2, 0, chaos.Quirks(descending=False, tilted=False, ct_names="i"))
    for folder in root.glob("Train_Sets/MR/*/T1DUAL"):
        shutil.rmtree(folder)
    return root / "Train_Sets"


@pytest.fixture(scope="session")
def clean(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the undamaged scans become."""
    from converters.convert import convert

    out = tmp_path_factory.mktemp("clean")
    convert("chaos", scans, out)
    return contents(out)


@pytest.fixture
def raw(scans: Path, tmp_path: Path) -> Path:
    return shutil.copytree(scans, tmp_path / "raw")


def slices(study: Path) -> list[Path]:
    return sorted((study / "DICOM_anon").glob("*.dcm"), key=natural_key)


def edit(path: Path, change: Callable[[pydicom.Dataset], object]) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path, enforce_file_format=True)


def one(change: Callable[[pydicom.Dataset], object], index: int = 3) -> Spoil:
    return lambda study: edit(slices(study)[index], change)


def every(change: Callable[[int, pydicom.Dataset], object]) -> Spoil:
    def spoil(study: Path) -> None:
        for k, path in enumerate(slices(study)):
            edit(path, lambda dataset: change(k, dataset))  # noqa: B023  # called at once

    return spoil


def put(**tags: object) -> Callable[[pydicom.Dataset], object]:
    return lambda dataset: dataset.update(tags)


def shift(x: float = 0, z: float = 0) -> Callable[[pydicom.Dataset], object]:
    def change(dataset: pydicom.Dataset) -> None:
        place = [float(value) for value in dataset.ImagePositionPatient]
        dataset.ImagePositionPatient = [f"{v:.6f}" for v in (place[0] + x, place[1], place[2] + z)]

    return change


def leaning(study: Path) -> None:
    """Every slice is pushed aside in proportion to its height: a gantry tilt of 12 degrees."""
    paths = slices(study)
    low = float(pydicom.dcmread(paths[0]).ImagePositionPatient[2])
    for path in paths:
        height = float(pydicom.dcmread(path).ImagePositionPatient[2]) - low
        edit(path, shift(x=height * float(np.tan(np.radians(12)))))


def cut(keep: int | None = None, drop: int = 0) -> Spoil:
    def spoil(study: Path) -> None:
        path = slices(study)[3]
        size = pydicom.dcmread(path)
        pixels = size.Rows * size.Columns * 2
        data = path.read_bytes()
        path.write_bytes(data[: len(data) - pixels + (pixels - drop if keep is None else keep)])

    return spoil


def on(index: int) -> Spoil:
    """The slice lies where the one before it lies."""

    def spoil(study: Path) -> None:
        before, path = slices(study)[index - 1 : index + 1]
        place = pydicom.dcmread(before).ImagePositionPatient
        edit(path, put(ImagePositionPatient=place))

    return spoil


def second_series(study: Path) -> None:
    for k, path in enumerate(slices(study)[:4]):
        copy = shutil.copy(path, path.with_name(f"second-{k}.dcm"))
        edit(copy, put(SeriesInstanceUID=UID + "8", SOPInstanceUID=f"{UID}9.{k}", SeriesDescription="DOE^JANE"))


def flipped_sign(k: int, dataset: pydicom.Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<u2").astype(np.int16) - 1000
    dataset.PixelData, dataset.RescaleIntercept, dataset.PixelRepresentation = stored.tobytes(), 0, 0


def bare(_: int, dataset: pydicom.Dataset) -> None:
    del dataset.RescaleSlope, dataset.RescaleIntercept


def without(keyword: str) -> Spoil:
    return every(lambda _, dataset: delattr(dataset, keyword))


FAULTS: dict[str, tuple[str, Spoil, str]] = {
    "1 cut": (T2, cut(keep=933), r"IMG-\d+-00004\.dcm: 933 of \d+ pixel bytes.*download"),
    "2 short": (T2, cut(drop=10), r"IMG-\d+-00004\.dcm: \d+ of \d+ pixel bytes.*download"),
    "3 empty": (T2, lambda study: slices(study)[3].write_bytes(b""), r"IMG-\d+-00004\.dcm: the file is empty"),
    "5 gap": (T2, lambda study: slices(study)[5].unlink(), r"gap of 1\d\.\d mm after z=-?\d+\.\d; expected \d\.\d"),
    "6 first": (T2, lambda study: slices(study)[0].unlink(), r"13 label slices for 12 image slices"),
    "6 last": (T2, lambda study: slices(study)[-1].unlink(), r"13 label slices for 12 image slices"),
    "8 place": (T2, on(4), r"lie where another lies: IMG-\d+-00004\.dcm and IMG-\d+-00005\.dcm"),
    "9 series": (T2, second_series, r"2 series in one folder: \w{8} \(4 slices of .*; \w{8} \(13 slices.*--series"),
    "10 patients": (T2, one(put(PatientID="P-77")), r"two patients in one series: IMG-\d+-00004\.dcm"),
    "11 uneven": (T2, one(shift(z=0.2)), r"uneven spacing: .* more than 1 % apart"),
    "12 tilt": (T2, leaning, r"sheared by 12\.0 degrees \(gantry tilt\)"),
    "13 direction": (
        T2,
        one(put(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])),
        r"orientation differs .* 90\.0 degrees",
    ),
    "14 spacing": (T2, without("PixelSpacing"), r"no PixelSpacing \(0028,0030\)"),
    "14 position": (T2, without("ImagePositionPatient"), r"no ImagePositionPatient \(0020,0032\)"),
    "14 orientation": (T2, without("ImageOrientationPatient"), r"no ImageOrientationPatient \(0020,0037\)"),
    "17 size": (T2, one(put(Rows=8, Columns=10, PixelData=bytes(160))), r"size 10 x 8; the other slices: \d+ x \d+"),
    "19 rescale": (CT, every(bare), r"no RescaleSlope \(0028,1053\)"),
    "21 sign": (CT, every(flipped_sign), r"voxels lie outside -1100 to 4000 HU"),
    "24 size": (T2, one(put(Rows=65535, Columns=65535)), r"the header claims 65535 x 65535 pixels"),
    "25 labels": (
        T2,
        lambda study: next((study / "Ground").iterdir()).unlink(),
        r"12 label slices for 13 image slices",
    ),
}


@pytest.mark.fault(1, 2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 14, 17, 19, 21, 24, 25)
@pytest.mark.parametrize(("study", "spoil", "told"), FAULTS.values(), ids=FAULTS)
def test_a_broken_series_is_named_and_its_neighbours_convert(
    bench, raw: Path, tmp_path: Path, study: str, spoil: Spoil, told: str
) -> None:
    spoil(raw / study)
    done = bench("convert", "chaos", raw, tmp_path / "data", "--json")
    refused(done, tmp_path / "data", "ct-2" if study == CT else "mr-1", told, others=2)
    assert "P-77" not in done.err and "DOE" not in done.err


SAME: dict[str, tuple[int, Spoil]] = {
    "4 junk": (
        4,
        lambda study: [(study / "DICOM_anon" / n).write_bytes(b"x") for n in ("Thumbs.db", "a.txt", "DICOMDIR")],
    ),
    "7 copy": (7, lambda study: shutil.copy(slices(study)[2], study / "DICOM_anon" / "copy of IMG-0001-00003.dcm")),
    "16 absent": (16, without("InstanceNumber")),
    "16 reversed": (16, every(lambda k, dataset: put(InstanceNumber=90 - k)(dataset))),
}


@pytest.mark.fault(4, 7, 16)
@pytest.mark.parametrize("spoil", [spoil for _, spoil in SAME.values()], ids=SAME)
def test_what_does_not_matter_changes_no_voxel(
    bench, raw: Path, tmp_path: Path, clean: dict[str, str], spoil: Spoil
) -> None:
    spoil(raw / T2)
    assert bench("convert", "chaos", raw, tmp_path / "data").code == 0
    found = contents(tmp_path / "data")
    voxels = [name for name in clean if name.endswith(".gz")]
    assert voxels and {name: found[name] for name in voxels} == {name: clean[name] for name in voxels}


@pytest.mark.fault(9)
def test_one_of_two_series_is_picked_by_the_hash_that_the_error_lists(
    bench, raw: Path, tmp_path: Path, clean: dict[str, str]
) -> None:
    second_series(raw / T2)
    told = bench("convert", "chaos", raw, tmp_path / "data").err
    series = re.search(r"(\w{8}) \(13 slices", told)
    assert series is not None
    assert bench("convert", "chaos", raw, tmp_path / "data", "--series", series[1]).code == 0
    image = "phantom-chaos-mr-t2/imagesTr/mr-1_0000.nii.gz"
    assert contents(tmp_path / "data")[image] == clean[image]
    wrong = bench("convert", "chaos", raw, tmp_path / "other", "--series", "00000000")
    assert wrong.code == 2 and "no series '00000000'" in wrong.err and series[1] in wrong.err


@pytest.mark.fault(5)
def test_a_gap_is_taken_only_when_asked_for_and_stays_in_the_sidecar(bench, raw: Path, tmp_path: Path) -> None:
    slices(raw / T2)[3].unlink()
    assert bench("convert", "chaos", raw, tmp_path / "data").code == 3
    assert bench("convert", "chaos", raw, tmp_path / "data", "--allow-gaps").code == 0
    sidecar = (tmp_path / "data/phantom-chaos-mr-t2/cases/mr-1.json").read_text()
    assert "1 gap(s): slices 3 to 11 of 12 were taken" in sidecar


@pytest.mark.fault(15)
def test_spacing_is_that_of_the_positions_and_the_other_number_stays_in_the_sidecar(
    bench, raw: Path, tmp_path: Path
) -> None:
    assert bench("convert", "chaos", raw, tmp_path / "data").code == 0
    sidecar = (tmp_path / "data/phantom-chaos-ct/cases/ct-2.json").read_text()
    assert "SliceThickness says 3.2 mm; the positions step 5.5 mm, which counts" in sidecar
    assert re.search(r'"spacing_mm": \[\s+\S+\s+\S+\s+5\.5\s', sidecar)


def packed(syntax: str) -> Spoil:
    """Pixels that claim to be compressed."""

    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([b"\xff\xd8 made up"])
        dataset["PixelData"].is_undefined_length = True

    return every(change)


@pytest.mark.fault(22)
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless], ids=["jpeg2000", "jpeg-ls"])
def test_without_a_decoder_the_extra_is_named_and_the_machine_is_at_fault(
    bench, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str
) -> None:
    packed(syntax)(raw / T2)
    monkeypatch.setattr(get_decoder(syntax), "_available", {})
    done = bench("convert", "chaos", raw, tmp_path / "data", "--json")
    refused(done, tmp_path / "data", "mr-1", r"no decoder for JPEG.*frugalseg\[dicom-codecs\]", others=2, code=4)


@pytest.mark.fault(24)
def test_a_size_that_cannot_be_takes_no_memory(raw: Path, tmp_path: Path) -> None:
    one(put(Rows=65535, Columns=65535))(raw / T2)
    one(put(Rows=30000, Columns=30000), 4)(raw / T2)
    code, peak_mib, _ = measured("convert", "chaos", raw, tmp_path / "data")
    assert code == 3 and peak_mib < 500


@pytest.mark.fault(82)
def test_words_burned_into_the_pixels_are_told_in_the_sidecar_and_on_the_card(bench, raw: Path, tmp_path: Path) -> None:
    every(lambda _, dataset: put(BurnedInAnnotation="YES")(dataset))(raw / T2)
    assert bench("convert", "chaos", raw, tmp_path / "data").code == 0
    root = tmp_path / "data/phantom-chaos-mr-t2"
    told = "BurnedInAnnotation is YES: the pixels may show a name"
    assert told in (root / "cases/mr-1.json").read_text() and told not in (root / "cases/mr-2.json").read_text()
    assert told in (root / "README.md").read_text()


@pytest.mark.fault(82)
def test_heads_with_their_faces_are_told_on_the_card(bench, tmp_path: Path) -> None:
    ixi.write(tmp_path / "raw", 1, 0)
    assert bench("convert", "ixi", tmp_path / "raw", tmp_path / "data").code == 0
    for top in (tmp_path / "data").glob("*-t1/dataset.json"):
        assert [line for line in json.loads(top.read_text())["bench"]["warnings"] if "face" in line]
        assert "face" in (top.parent / "README.md").read_text()
