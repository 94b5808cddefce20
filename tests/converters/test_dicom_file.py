"""One DICOM file: faults 1 to 3 and 22 to 24 of the acceptance list, transfer syntaxes, multi-frame files."""

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_series import (
    CLEAN,
    COLUMNS,
    PIXEL_BYTES,
    ROWS,
    SLICES,
    Change,
    only,
    put,
    write_series,
)
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from converters.dicom import read_series
from converters.errors import BenchError, EnvironmentFault


@pytest.mark.fault(1, 2)
@pytest.mark.parametrize("kept", [933, PIXEL_BYTES - 10, 0])
def test_a_cut_slice_is_refused_with_its_bytes(tmp_path: Path, kept: int) -> None:
    paths = write_series(tmp_path)
    data = paths[3].read_bytes()
    paths[3].write_bytes(data[: len(data) - PIXEL_BYTES + kept])
    with pytest.raises(BenchError, match=rf"i0003.dcm: {kept} of {PIXEL_BYTES} pixel bytes") as error:
        read_series(paths)
    assert "download" in str(error.value) and error.value.exit_code == 3


def test_a_header_that_ends_early_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[1].write_bytes(paths[1].read_bytes()[:400])
    with pytest.raises(BenchError, match=r"in the header|header is broken|pixel bytes"):
        read_series(paths)


@pytest.mark.fault(3)
def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[2].write_bytes(b"")
    with pytest.raises(BenchError, match=r"i0002\.dcm: the file is empty"):
        read_series(paths)


def test_a_file_that_only_claims_to_be_dicom_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    paths[0].write_bytes(b"<!doctype html> not found")
    with pytest.raises(BenchError, match="no DICOM file"):
        read_series(paths)
    with pytest.raises(BenchError, match="no DICOM images here"):
        read_series([])


def test_overlay_bits_above_the_stored_ones_are_cleared(tmp_path: Path) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0x8000).tobytes()

    assert np.array_equal(read_series(write_series(tmp_path, change)).volume.array, CLEAN)


@pytest.mark.fault(22)
def test_a_missing_decoder_is_named_with_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
        dataset.PixelData = encapsulate([b"\xff\xd8 made up"])
        dataset["PixelData"].is_undefined_length = True

    paths = write_series(tmp_path, change)
    monkeypatch.setattr(get_decoder(JPEGLSLossless), "_available", {})
    with pytest.raises(EnvironmentFault, match=r"pip install 'frugalseg\[dicom-codecs\]'") as error:
        read_series(paths)
    assert error.value.exit_code == 4 and "JPEG-LS" in str(error.value)


def as_jpeg2000(_: int, dataset: pydicom.Dataset) -> None:
    stream = io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(stream, "JPEG2000", no_jp2=True)
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True


def as_big_endian(_: int, dataset: pydicom.Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()


def as_implicit(_: int, dataset: pydicom.Dataset) -> None:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


@pytest.mark.fault(22)
@pytest.mark.parametrize(
    "change",
    [lambda _, d: d.compress(RLELossless), as_jpeg2000, as_big_endian, as_implicit],
    ids=["rle", "j2k", "be", "imp"],
)
def test_every_transfer_syntax_gives_the_same_voxels(tmp_path: Path, change: Change) -> None:
    assert np.array_equal(read_series(write_series(tmp_path, change)).volume.array, CLEAN)


@pytest.mark.fault(22)
def test_a_broken_compressed_slice_is_refused(tmp_path: Path) -> None:
    paths = write_series(tmp_path, as_jpeg2000)
    paths[1].write_bytes(paths[1].read_bytes()[:-400])
    with pytest.raises(BenchError, match=r"i0001\.dcm"):
        read_series(paths)


@pytest.mark.fault(23)
@pytest.mark.parametrize("meta", [True, False])
def test_files_without_the_preamble_are_read_with_a_note(tmp_path: Path, meta: bool) -> None:
    paths = write_series(tmp_path, as_implicit)
    for path in paths:
        data = path.read_bytes()[132:]
        # Group 2 ends where group 8 begins, with the class of the object.
        path.write_bytes(data if meta else data[data.index(b"\x08\x00\x16\x00") :])
    series = read_series(paths)
    assert np.array_equal(series.volume.array, CLEAN)
    assert series.warnings == ("files without the DICOM preamble were read all the same",)


@pytest.mark.fault(24)
@pytest.mark.parametrize("size", [65535, 20000])
def test_an_absurd_size_is_refused_before_anything_is_allocated(tmp_path: Path, size: int) -> None:
    paths = write_series(tmp_path, only(2, put(Rows=size, Columns=size)))
    tracemalloc.start()
    with pytest.raises(BenchError, match=f"the header claims {size} x {size} pixels"):
        read_series(paths)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_colours_and_odd_bit_depths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"(?s)colours.*original series.*as PNG"):
        read_series(write_series(tmp_path / "rgb", lambda _, d: put(SamplesPerPixel=3)(d)))
    with pytest.raises(BenchError, match="12 of 12 bits"):
        read_series(write_series(tmp_path / "bits", lambda _, d: put(BitsAllocated=12, BitsStored=12)(d)))


def multiframe(paths: list[Path], target: Path) -> None:
    """Join a series into one enhanced file: shared orientation and spacing, a position per frame."""
    planes = [pydicom.dcmread(path) for path in paths]
    joined = pydicom.dcmread(paths[0])
    shared, orientation, measures = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
    orientation.ImageOrientationPatient = joined.ImageOrientationPatient
    measures.PixelSpacing = joined.PixelSpacing
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    joined.SharedFunctionalGroupsSequence, joined.PerFrameFunctionalGroupsSequence = [shared], []
    for source in planes:
        group, place, value = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        place.ImagePositionPatient = source.ImagePositionPatient
        value.RescaleSlope, value.RescaleIntercept = source.RescaleSlope, source.RescaleIntercept
        group.PlanePositionSequence, group.PixelValueTransformationSequence = [place], [value]
        joined.PerFrameFunctionalGroupsSequence.append(group)
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(joined, keyword)
    joined.NumberOfFrames = len(planes)
    joined.PixelData = b"".join(source.PixelData for source in planes)
    joined.save_as(target, enforce_file_format=True)


def test_an_enhanced_multiframe_file_is_the_same_volume(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    single = read_series(paths)
    multiframe(paths[::-1], tmp_path / "all.dcm")
    series = read_series([tmp_path / "all.dcm"])
    assert np.array_equal(series.volume.array, single.volume.array)
    assert np.array_equal(series.volume.affine, single.volume.affine)
    assert series.files == (tmp_path / "all.dcm",) * SLICES


def test_frames_without_positions_are_refused(tmp_path: Path) -> None:
    def change(_: int, dataset: pydicom.Dataset) -> None:
        dataset.NumberOfFrames = 2
        dataset.PixelData *= 2

    with pytest.raises(BenchError, match="lie where another lies"):
        read_series(write_series(tmp_path, change, slices=1))


@pytest.mark.fault(24)
def test_any_flipped_byte_of_the_header_ends_in_a_volume_or_a_plain_error(tmp_path: Path) -> None:
    paths = write_series(tmp_path, slices=3)
    clean = paths[1].read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for place in rng.integers(132, len(clean) - PIXEL_BYTES, 300):
        spoilt = bytearray(clean)
        spoilt[place] ^= 1 << int(rng.integers(8))
        paths[1].write_bytes(spoilt)
        try:
            assert read_series(paths, allow_gaps=False).volume.shape == (COLUMNS, ROWS, 3)
        except BenchError:
            refused += 1
    assert refused > 60
