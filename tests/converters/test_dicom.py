"""A series as a whole: faults 4 to 17 of the acceptance list, made in a small series, and what a good one gives."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from dicom_series import CLEAN, ORIGIN, SLICES, SPACING, UID, drop, move, only, plane, put, write_series
from pydicom.uid import ImplicitVRLittleEndian

from converters.dicom import read_series
from converters.errors import BenchError, UsageError


def test_a_clean_series_gives_hounsfield_units_on_its_grid(tmp_path: Path) -> None:
    series = read_series(write_series(tmp_path))
    assert series.volume.array.dtype == np.int16
    assert np.array_equal(series.volume.array, CLEAN)
    assert series.volume.affine.tolist() == [[-0.5, 0, 0, 100], [0, -0.8, 0, 50], [0, 0, 5, -40], [0, 0, 0, 1]]
    assert [p.name for p in series.files] == [f"i{k:04d}.dcm" for k in range(SLICES)]
    assert series.acquisition == {"KVP": 120.0, "SliceThickness": 5.0, "Modality": "CT"}
    assert series.warnings == ()


def test_an_oblique_series_lies_where_simpleitk_puts_it(tmp_path: Path) -> None:
    turn = np.linalg.qr(np.array([[0.9, 0.2, -0.3], [-0.1, 0.95, 0.2], [0.3, -0.1, 0.9]]))[0]
    turn *= np.sign(np.linalg.det(turn))

    def oblique(k: int, dataset: pydicom.Dataset) -> None:
        dataset.ImageOrientationPatient = [f"{v:.12f}" for v in (*turn[:, 0], *turn[:, 1])]
        dataset.ImagePositionPatient = [f"{v:.10f}" for v in np.array(ORIGIN) + k * 3.0 * turn[:, 2]]

    paths = write_series(tmp_path, oblique, modality="MR")
    series = read_series(paths)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(p) for p in series.files])
    image = reader.Execute()
    size = np.array(image.GetSize()) - 1
    for index in ([0, 0, 0], size.tolist(), [3, 5, 1]):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert np.allclose(series.volume.affine @ [*index, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-6)
    assert np.array_equal(SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), series.volume.array)


@pytest.mark.fault(4)
def test_junk_is_skipped_and_listed(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    junk = [tmp_path / name for name in (".DS_Store", "DICOMDIR", "Thumbs.db", "._i0000.dcm", "notes.txt")]
    for path in junk:
        path.write_bytes(b"left behind by something")
    report = pydicom.Dataset()
    report.file_meta = pydicom.FileMetaDataset()
    report.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    report.SOPClassUID, report.SOPInstanceUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.11", UID + "1", "SR"
    junk.append(tmp_path / "report.dcm")
    report.save_as(junk[-1], enforce_file_format=True)
    series = read_series([*junk, *paths])
    assert np.array_equal(series.volume.array, CLEAN)
    assert set(series.skipped) == set(junk)
    assert series.warnings == ("6 file(s) are no images and were skipped",)


@pytest.mark.fault(5)
def test_a_missing_middle_slice_is_a_gap_and_never_a_wider_spacing(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    del paths[2]
    with pytest.raises(BenchError, match=r"gap of 10.0 mm after z=-35.0; expected 5.0"):
        read_series(paths)
    series = read_series(paths, allow_gaps=True)
    assert [p.name for p in series.files] == ["i0003.dcm", "i0004.dcm", "i0005.dcm"]
    assert series.volume.affine[2].tolist() == [0, 0, 5, -25]
    assert "1 gap(s)" in series.warnings[0]


@pytest.mark.fault(7)
def test_a_copied_file_is_dropped(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    copy = tmp_path / "copy of i0002.dcm"
    copy.write_bytes(paths[2].read_bytes())
    series = read_series([*paths, copy])
    assert np.array_equal(series.volume.array, CLEAN)
    assert series.warnings == ("1 file(s) are copies of others and were dropped",)


@pytest.mark.fault(7)
def test_one_uid_on_two_different_slices_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, lambda k, d: put(SOPInstanceUID=UID + str(max(k, 1)))(d))
    with pytest.raises(BenchError, match=r"i0000\.dcm and i0001\.dcm carry one SOP instance UID and differ"):
        read_series(paths)


@pytest.mark.fault(8)
def test_two_slices_at_one_place_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"lie where another lies: i0002\.dcm and i0003\.dcm"):
        read_series(write_series(tmp_path, only(3, move(z=-5))))


@pytest.mark.fault(9)
def test_two_series_are_listed_without_their_uids_and_one_can_be_picked(tmp_path: Path) -> None:
    def second(k: int, dataset: pydicom.Dataset) -> None:
        dataset.SeriesInstanceUID = UID + "8"
        dataset.SOPInstanceUID = f"{UID}9.{k}"
        dataset.SeriesDescription = "DOE^JANE liver"

    paths = write_series(tmp_path) + write_series(tmp_path, second, stem="b", slices=4)
    with pytest.raises(BenchError, match="2 series in one folder") as error:
        read_series(paths)
    message = str(error.value)
    assert "6 slices of 40 x 32, CT, from i0000.dcm" in message and "4 slices of 40 x 32, CT, from b0000.dcm" in message
    assert UID not in message and "DOE" not in message
    short = message.rpartition("; ")[2].partition(" ")[0]
    for name, count in ((UID + "8", 4), (UID + "7", 6)):
        assert len(read_series(paths, series=name).files) == count
    assert len(read_series(paths, series=short).files) in (4, 6)
    with pytest.raises(UsageError, match="no series 'x'"):
        read_series(paths, series="x")


def test_a_series_uid_per_file_says_nothing_and_positions_decide(tmp_path: Path) -> None:
    paths = write_series(tmp_path, lambda k, d: put(SeriesInstanceUID=f"{UID}{k + 1}")(d))
    assert np.array_equal(read_series(paths).volume.array, CLEAN)


@pytest.mark.fault(10)
def test_two_patients_under_one_series_are_refused_unnamed(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"two patients in one series: i0004\.dcm") as error:
        read_series(write_series(tmp_path, only(4, put(PatientID="DOE-77"))))
    assert "DOE" not in str(error.value) and "P1" not in str(error.value)


@pytest.mark.fault(11)
def test_spacing_uneven_by_more_than_a_percent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"uneven spacing: 4.9 to 5.1 mm"):
        read_series(write_series(tmp_path / "a", only(3, move(z=0.1))))
    assert read_series(write_series(tmp_path / "b", only(3, move(z=0.02)))).volume.spacing[2] == 5.0


@pytest.mark.fault(12)
def test_gantry_tilt_is_refused_with_its_angle(tmp_path: Path) -> None:
    shift = SPACING[2] * np.tan(np.radians(12))
    with pytest.raises(BenchError, match=r"sheared by 12\.0 degrees"):
        read_series(write_series(tmp_path, lambda k, d: move(x=k * shift)(d)))


def test_a_slice_shifted_aside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"i0003\.dcm lies 2\.0 mm aside"):
        read_series(write_series(tmp_path, only(3, move(x=2))))


@pytest.mark.fault(13)
@pytest.mark.parametrize(
    ("cosines", "degrees"),
    [([1, 0, 0, 0, 0, -1], "90.0"), ([0.8, 0.6, 0, -0.6, 0.8, 0], "36.9"), ([-1, 0, 0, 0, -1, 0], "180.0")],
    ids=["out of the plane", "in the plane", "upside down"],
)
def test_a_slice_of_another_orientation_is_refused(tmp_path: Path, cosines: list[float], degrees: str) -> None:
    with pytest.raises(BenchError, match=f"i0001.dcm: orientation differs .* turned by {degrees} degrees"):
        read_series(write_series(tmp_path, only(1, put(ImageOrientationPatient=cosines))))


@pytest.mark.parametrize("cosines", [[1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 1, 0], [0, 0, 0, 0, 0, 0]])
def test_an_orientation_that_is_no_rotation_is_refused(tmp_path: Path, cosines: list[float]) -> None:
    with pytest.raises(BenchError, match="no pair of orthogonal unit vectors"):
        read_series(write_series(tmp_path, lambda _, d: put(ImageOrientationPatient=cosines)(d)))


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("keyword", "tag"),
    [
        ("PixelSpacing", "0028,0030"),
        ("ImagePositionPatient", "0020,0032"),
        ("ImageOrientationPatient", "0020,0037"),
        ("Modality", "0008,0060"),
    ],
)
def test_a_missing_geometry_tag_is_named_and_nothing_stands_in(tmp_path: Path, keyword: str, tag: str) -> None:
    with pytest.raises(BenchError, match=rf"no {keyword} \({tag}\)"):
        read_series(write_series(tmp_path, drop(keyword)))


@pytest.mark.parametrize("spacing", [[0, 1], [-1, 1], [1]])
def test_a_pixel_spacing_that_is_none_is_refused(tmp_path: Path, spacing: list[float]) -> None:
    with pytest.raises(BenchError, match="PixelSpacing"):
        read_series(write_series(tmp_path, lambda _, d: put(PixelSpacing=spacing)(d)))


@pytest.mark.fault(15)
def test_spacing_comes_from_positions_and_the_thickness_is_noted(tmp_path: Path) -> None:
    series = read_series(write_series(tmp_path, lambda _, d: put(SliceThickness=8)(d)))
    assert series.volume.spacing == (0.5, 0.8, 5.0)
    assert series.warnings == ("SliceThickness says 8 mm; the positions step 5 mm, which counts",)


@pytest.mark.fault(16)
@pytest.mark.parametrize("kind", ["absent", "reversed"])
def test_the_instance_number_plays_no_part(tmp_path: Path, kind: str) -> None:
    change = drop("InstanceNumber") if kind == "absent" else lambda k, d: put(InstanceNumber=SLICES - k)(d)
    series = read_series(write_series(tmp_path, change)[::-1])
    assert np.array_equal(series.volume.array, CLEAN)
    assert series.files[0].name == "i0000.dcm"


@pytest.mark.fault(17)
def test_a_slice_of_another_size_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    position = (ORIGIN[0], ORIGIN[1], ORIGIN[2] + 2 * SPACING[2])
    plane(np.zeros((16, 20)), position, 2, "CT").save_as(paths[2], enforce_file_format=True)
    with pytest.raises(BenchError, match=r"i0002\.dcm: size 20 x 16; the other slices: 40 x 32"):
        read_series(paths)


def test_a_single_slice_has_no_spacing(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="one slice alone has no spacing"):
        read_series(write_series(tmp_path, slices=1))
