"""What the pixels mean: faults 18 to 21 of the acceptance list, and which words may leave the reader."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_series import CLEAN, COLUMNS, ROWS, SLICES, UID, drop, put, values, write_series

from converters.dicom import read_series
from converters.errors import BenchError


@pytest.mark.fault(18)
def test_each_slice_is_rescaled_by_its_own_tags(tmp_path: Path) -> None:
    def change(k: int, dataset: pydicom.Dataset) -> None:
        slope, intercept = (2, -2000) if k % 2 else (1, -1024 - k)
        stored = (values()[k].astype(int) - intercept) // slope
        dataset.PixelData = stored.astype("<u2").tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept

    array = read_series(write_series(tmp_path, change)).volume.array
    odd = np.arange(SLICES) % 2 == 1
    assert array.dtype == np.int16
    assert np.array_equal(array[:, :, ~odd], CLEAN[:, :, ~odd])
    assert np.array_equal(array[:, :, odd], CLEAN[:, :, odd] // 2 * 2)


def test_values_that_are_no_integers_become_float32(tmp_path: Path) -> None:
    array = read_series(write_series(tmp_path, lambda _, d: put(RescaleIntercept=-1023.75)(d))).volume.array
    assert array.dtype == np.float32
    assert np.array_equal(array, CLEAN + np.float32(0.25))


@pytest.mark.fault(19)
def test_ct_without_rescale_is_refused_and_mr_is_not(tmp_path: Path) -> None:
    bare = drop("RescaleSlope", "RescaleIntercept")
    with pytest.raises(BenchError, match=r"no RescaleSlope \(0028,1053\)"):
        read_series(write_series(tmp_path / "ct", bare))
    with pytest.raises(BenchError, match="one is missing"):
        read_series(write_series(tmp_path / "half", drop("RescaleSlope")))
    with pytest.raises(BenchError, match=r"i0001\.dcm: rescale tags absent; the other slices: present"):
        read_series(write_series(tmp_path / "some", lambda k, d: bare(k, d) if k == 1 else None))
    assert np.array_equal(read_series(write_series(tmp_path / "mr", modality="MR")).volume.array, CLEAN + 1024)


@pytest.mark.fault(20)
def test_monochrome1_is_inverted_where_values_have_no_unit(tmp_path: Path) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.PhotometricInterpretation = "MONOCHROME1"
        dataset.BitsStored, dataset.HighBit = 12, 11

    mr = read_series(write_series(tmp_path / "mr", change, modality="MR"))
    assert np.array_equal(mr.volume.array, 4095 - (CLEAN + 1024))
    assert mr.warnings == ("MONOCHROME1: inverted, so that high is bright",)
    ct = read_series(write_series(tmp_path / "ct", change))
    assert np.array_equal(ct.volume.array, CLEAN)
    assert ct.warnings == ("MONOCHROME1: values kept, their unit is fixed",)


def signed(_: int, dataset: pydicom.Dataset) -> None:
    stored = np.frombuffer(dataset.PixelData, "<u2").astype(np.int16) - 1024
    dataset.PixelData, dataset.RescaleIntercept, dataset.PixelRepresentation = stored.tobytes(), 0, 1


@pytest.mark.fault(21)
def test_a_flipped_sign_is_refused_in_ct(tmp_path: Path) -> None:
    assert np.array_equal(read_series(write_series(tmp_path / "good", signed)).volume.array, CLEAN)

    def flipped(k: int, dataset: pydicom.Dataset) -> None:
        signed(k, dataset)
        dataset.PixelRepresentation = 0

    with pytest.raises(BenchError, match=r"voxels lie outside -1100 to 4000 HU"):
        read_series(write_series(tmp_path / "bad", flipped))
    with pytest.raises(BenchError, match=r"7680 of 7680 voxels lie outside"):
        read_series(write_series(tmp_path / "shift", lambda _, d: put(RescaleIntercept=8000)(d)))


def test_one_fill_value_outside_the_field_of_view_passes_with_a_note(tmp_path: Path) -> None:
    def filled(k: int, dataset: pydicom.Dataset) -> None:
        signed(k, dataset)
        stored = np.frombuffer(dataset.PixelData, "<i2").reshape(ROWS, COLUMNS).copy()
        stored[:3, :3] = -2000
        dataset.PixelData = stored.tobytes()

    series = read_series(write_series(tmp_path, filled))
    assert series.volume.array.min() == -2000
    assert series.warnings == ("54 voxels hold a fill value of -2000 HU, 0 others lie outside -1100 to 4000 HU",)


@pytest.mark.fault(81, 82)
def test_no_identity_leaves_the_reader(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.PatientName, dataset.PatientID = "SECRET^NAME", "SECRET-ID"
        dataset.PatientBirthDate = dataset.StudyDate = dataset.AcquisitionDate = "19010203"
        dataset.SeriesDescription = dataset.ImageComments = dataset.ProtocolName = "SECRET text"
        dataset.InstitutionName = dataset.StationName = dataset.ManufacturerModelName = "SECRET site"
        dataset.Manufacturer = "SIEMENS SECRET"
        dataset.ScanningSequence = "SECRET"
        dataset.add_new((0x0009, 0x0010), "LO", "SECRET private")
        dataset.BurnedInAnnotation, dataset.SliceThickness = "YES", 3
        # pydicom quotes a UID it dislikes in a warning and in its log.
        dataset["StudyInstanceUID"]._value = "SECRET UID"

    paths = write_series(tmp_path, change)
    recwarn.clear()
    caplog.clear()
    series = read_series(paths)
    told = repr((series.acquisition, series.warnings, caplog.text, [w.message for w in recwarn])).upper()
    assert series.acquisition["Manufacturer"] == "Siemens"
    assert "BURNEDINANNOTATION IS YES" in told
    for planted in ("SECRET", "19010203", UID, "DCM", str(tmp_path).upper()):
        assert planted not in told
