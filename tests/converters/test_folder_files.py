import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_series import plane
from folder_tree import picture, save
from PIL import Image
from pydicom import Dataset

from converters.dicom_frames import count_frames, read_frames
from converters.errors import BenchError
from converters.itk import files_of, read_itk
from converters.pictures import count_pages, read_picture
from converters.volume import axis_codes


def refused(read: Callable[[], object]) -> str:
    with pytest.raises(BenchError) as error:
        read()
    assert error.value.where
    return error.value.what


# pictures


def png(columns: int, rows: int, depth: int, kind: int, lines: bytes) -> bytes:
    """A PNG from its chunks, by the standard."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", columns, rows, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_greys_of_eight_bits_come_as_they_are(suffix: str, tmp_path: Path) -> None:
    path = save(tmp_path / f"a.{suffix}", picture())
    found = read_picture(path, lossless=True)
    assert found.dtype == np.uint8
    assert np.array_equal(found[:, :, 0], picture())


@pytest.mark.parametrize(
    ("suffix", "kind"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32), ("tif", np.float32)]
)
def test_deep_greys_come_as_they_are(suffix: str, kind: type[np.generic], tmp_path: Path) -> None:
    deep = (picture().astype(np.float64) * 300).astype(kind)
    found = read_picture(save(tmp_path / f"a.{suffix}", deep))
    assert found.dtype == kind
    assert np.array_equal(found[:, :, 0], deep)


def test_greys_of_few_bits_are_not_stretched(tmp_path: Path) -> None:
    for depth, line, values in (
        (1, b"\xa0", [1, 0, 1, 0]),
        (2, b"\x1b", [0, 1, 2, 3]),
        (4, b"\x01\x2f", [0, 1, 2, 15]),
    ):
        path = tmp_path / f"{depth}.png"
        path.write_bytes(png(4, 1, depth, 0, b"\0" + line))
        assert read_picture(path)[:, 0, 0].tolist() == values


def test_colours_that_are_greys_are_greys_and_constant_alpha_is_dropped(tmp_path: Path) -> None:
    grey = np.repeat(picture()[..., None], 3, axis=-1)
    assert np.array_equal(read_picture(save(tmp_path / "a.png", grey))[:, :, 0], picture())
    colours = np.stack([picture(k) for k in range(3)], axis=-1)
    solid = np.concatenate([colours, np.full((*picture().shape, 1), 255, np.uint8)], axis=-1)
    assert np.array_equal(read_picture(save(tmp_path / "b.png", solid))[:, :, 0], colours)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-20] ^= 0x10
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_cut_picture_is_refused(suffix: str, share: float, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (60, 50)).astype(np.uint8)
    path = save(tmp_path / f"a.{suffix}", noise)
    read_picture(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    assert "damaged" in refused(lambda: read_picture(path))
    assert count_pages(path) == 1


def test_a_jpeg_whose_end_was_never_downloaded_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (60, 50)).astype(np.uint8))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + bytes(len(data) - len(data) // 2))
    with Image.open(path) as lax:
        lax.load()  # half of it grey, and not a word
    assert "damaged JPEG" in refused(lambda: read_picture(path))


def rgba(path: Path) -> None:
    save(path, np.dstack([picture()] * 4))


def oriented(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    save(path, picture(), exif=exif)


def animated(path: Path) -> None:
    one, two = (Image.fromarray(picture(k)) for k in range(2))
    one.save(path, save_all=True, append_images=[two])


def huge(path: Path) -> None:
    path.write_bytes(png(40000, 40000, 8, 0, b"\0"))


@pytest.mark.parametrize(
    ("name", "make", "fault"),
    [
        ("a.png", lambda p: save(p, picture()) and flipped(p), "damaged PNG"),
        ("a.png", lambda p: save(p.with_suffix(".bmp"), picture()).rename(p), "damaged PNG"),
        ("a.png", lambda p: p.write_bytes(b"<html>sign in</html>"), "damaged PNG"),
        ("a.png", rgba, "transparent"),
        ("a.png", lambda p: save(p, picture(), transparency=0), "transparent"),
        ("a.png", oriented, "orientation tag says 6"),
        ("a.jpg", oriented, "orientation tag says 6"),
        ("a.png", animated, "2 pages"),
        ("a.tif", animated, "2 pages"),
        ("a.png", huge, "the header claims more than"),
        ("a.png", lambda p: p.write_bytes(png(2, 1, 16, 2, bytes(13))), "more than 8 bits"),
        ("a.tif", lambda p: save(p, picture(), tiffinfo={262: 0}), "from white to black"),
        ("a.tif", lambda p: save(p, np.where(picture() > 99, np.nan, 1).astype(np.float32)), "NaN or infinite"),
        ("a.tif", lambda p: Image.new("CMYK", (4, 4)).save(p), "CMYK is not read"),
        ("a.jpg", lambda p: Image.new("CMYK", (4, 4)).save(p), "CMYK is not read"),
    ],
)
def test_what_a_viewer_shows_all_the_same_is_refused(
    name: str, make: Callable[[Path], object], fault: str, tmp_path: Path
) -> None:
    make(tmp_path / name)
    assert fault in refused(lambda: read_picture(tmp_path / name))


def test_jpeg_makes_no_mask_in_tiff_either(tmp_path: Path) -> None:
    for path in (save(tmp_path / "a.jpg", picture()), save(tmp_path / "a.tif", picture(), compression="jpeg")):
        read_picture(path)
        assert "has lost its values" in refused(lambda path=path: read_picture(path, lossless=True))


# MHA, MHD, NRRD

ARRAY = np.random.default_rng(1).integers(-900, 900, (4, 5, 3)).astype(np.int16)
TURN = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def image(array: np.ndarray = ARRAY) -> sitk.Image:
    made = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    made.SetSpacing((0.5, 0.75, 2.0)[: made.GetDimension()])
    made.SetOrigin((10.0, -20.0, 30.0)[: made.GetDimension()])
    return made


def stored(path: Path, packed: bool = False, array: np.ndarray = ARRAY) -> Path:
    made = image(array)
    if array.ndim == 3:
        made.SetDirection(TURN)
    sitk.WriteImage(made, str(path), useCompression=packed)
    return path


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_itk_files_come_with_their_place_in_ras(suffix: str, packed: bool, tmp_path: Path) -> None:
    path = stored(tmp_path / f"a.{suffix}", packed)
    volume = read_itk(path)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.spacing == (0.5, 0.75, 2.0)
    # The direction's columns are those of the axes, in LPS: i runs to the back, j upwards, k to the left.
    assert axis_codes(volume.affine) == "PSL"
    assert np.allclose(volume.affine[:3, 3], [-10, 20, 30])
    assert files_of(path)[0] == path
    assert len(files_of(path)) == (2 if suffix == "mhd" else 1)


def test_two_axes_are_one_slice(tmp_path: Path) -> None:
    volume = read_itk(stored(tmp_path / "a.mha", array=ARRAY[:, :, 0]))
    assert (volume.shape, axis_codes(volume.affine)) == ((4, 5, 1), "LPS")


@pytest.mark.parametrize("suffix", ["mha", "mhd", "nrrd"])
@pytest.mark.parametrize("packed", [False, True])
def test_cut_voxels_are_refused_where_simpleitk_gives_zeros(suffix: str, packed: bool, tmp_path: Path) -> None:
    path = files_of(stored(tmp_path / f"a.{suffix}", packed))[-1]
    data = path.read_bytes()
    for short in (1, 9, 40):
        path.write_bytes(data[:-short])
        refused(lambda: read_itk(tmp_path / f"a.{suffix}"))
    path.write_bytes(data + (b"" if packed else b"xx"))
    if not packed:
        assert "more than 120 bytes of voxels" in refused(lambda: read_itk(tmp_path / f"a.{suffix}"))


def changed(before: bytes, after: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = path.read_bytes()
        assert before in data
        path.write_bytes(data.replace(before, after, 1))

    return change


@pytest.mark.parametrize(
    ("suffix", "change", "fault"),
    [
        ("mha", changed(b"ElementSpacing = 0.5 0.75 2\n", b""), "no ElementSpacing"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 4 5 30"), "120 of 1200 bytes of voxels"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 65535 65535 9"), "the limit is"),
        ("mha", changed(b"DimSize = 4 5 3", b"DimSize = 4 -5 3"), "plain numbers"),
        ("mha", changed(b"ElementDataFile = LOCAL", b"ElementDataFile = a.raw"), "another file"),
        ("mhd", changed(b"ElementDataFile = a.raw", b"ElementDataFile = ../a.raw"), "leads out of its folder"),
        ("mhd", changed(b"ElementDataFile = a.raw", b"ElementDataFile = LIST"), "is not beside it"),
        ("mha", changed(b"TransformMatrix = 0 1 0 0 0 1 1 0 0", b"TransformMatrix = 1 1 0 0 0 1 1 0 0"), "sheared"),
        ("nrrd", changed(b"space: left-posterior-superior", b"space: scanner-xyz"), "neither LPS nor RAS"),
        ("nrrd", changed(b"space: left-posterior-superior\n", b""), "no space"),
        ("nrrd", changed(b"encoding: raw", b"encoding: hex"), "neither raw nor gzipped"),
        ("nrrd", changed(b"encoding: raw", b"data file: x.raw\nencoding: raw"), "another file"),
        ("nrrd", changed(b"encoding: raw", b'space units: "in" "in" "in"\nencoding: raw'), "not in millimetres"),
        ("nrrd", changed(b"NRRD000", b"NRRX000"), "no NRRD file"),
    ],
)
def test_headers_that_say_too_little_or_too_much_are_refused(
    suffix: str, change: Callable[[Path], None], fault: str, tmp_path: Path
) -> None:
    path = stored(tmp_path / f"a.{suffix}")
    change(path)
    assert fault in refused(lambda: read_itk(path))


def test_ras_in_nrrd_is_where_lps_is(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nrrd")
    lps = read_itk(path).affine
    changed(b"left-posterior-superior", b"right-anterior-superior")(path)
    assert np.allclose(read_itk(path).affine, np.diag([-1, -1, 1, 1]) @ lps)


def test_vectors_and_nan_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 5, 2)), isVector=True), str(tmp_path / "v.mha"))
    assert "2 values per voxel" in refused(lambda: read_itk(tmp_path / "v.mha"))
    path = stored(tmp_path / "n.mha", array=np.where(ARRAY > 0, np.nan, 1.0))
    assert "NaN or infinite" in refused(lambda: read_itk(path))


# DICOM pictures


def radiograph(path: Path, change: Callable[[Dataset], None] = lambda _: None, frames: int = 1) -> Path:
    pixels = np.stack([picture(k).T.astype(np.uint16) * 10 for k in range(frames)])
    dataset = plane(pixels[0], (0, 0, 0), 0, "MR")
    dataset.Modality = "DX"
    del dataset.ImagePositionPatient, dataset.ImageOrientationPatient
    if frames > 1:
        dataset.NumberOfFrames, dataset.PixelData = frames, pixels.tobytes()
    change(dataset)
    dataset.save_as(path, enforce_file_format=True)
    return path


def test_a_radiograph_needs_no_place_in_space(tmp_path: Path) -> None:
    found = read_frames(radiograph(tmp_path / "a.dcm"))
    assert np.array_equal(found.array[:, :, 0], picture().astype(int) * 10)
    assert (found.spacing, found.warnings) == ((0.5, 0.8), ())


def test_the_spacing_at_the_detector_is_taken_with_a_warning_and_none_is_none(tmp_path: Path) -> None:
    def detector(dataset: Dataset) -> None:
        del dataset.PixelSpacing
        dataset.ImagerPixelSpacing = [0.15, 0.14]

    found = read_frames(radiograph(tmp_path / "a.dcm", detector))
    assert found.spacing == (0.14, 0.15)
    assert "at the detector" in found.warnings[0]
    bare = radiograph(tmp_path / "b.dcm", lambda dataset: dataset.__delattr__("PixelSpacing"))
    assert read_frames(bare).spacing is None


def test_negatives_are_turned_round_and_lossy_ones_are_told(tmp_path: Path) -> None:
    def negative(dataset: Dataset) -> None:
        dataset.PhotometricInterpretation, dataset.LossyImageCompression = "MONOCHROME1", "01"

    found = read_frames(radiograph(tmp_path / "a.dcm", negative))
    assert np.array_equal(found.array[:, :, 0], 65535 - picture().astype(int) * 10)
    assert [told[:11] for told in found.warnings] == ["MONOCHROME1", "the pixels "]


def test_frames_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = radiograph(tmp_path / "a.dcm", frames=3)
    assert count_frames(path) == 3
    assert all(np.array_equal(read_frames(path).array[:, :, k], picture(k).astype(int) * 10) for k in range(3))
    path.write_bytes(path.read_bytes()[:-30])
    assert "pixel bytes" in refused(lambda: read_frames(path))
    assert count_frames(path) == 3
    path.write_bytes(b"nothing")
    assert count_frames(path) == 1
    assert "no DICOM file" in refused(lambda: read_frames(path))


def test_a_damaged_picture_is_no_larger_in_memory_than_its_file(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (9000, 9000)).save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue().replace(struct.pack(">II", 9000, 9000), b"\xff\xff" * 4, 1))
    assert "damaged" in refused(lambda: read_picture(tmp_path / "a.png"))
