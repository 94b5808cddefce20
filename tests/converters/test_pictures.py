"""Pictures of every kind, and those of DICOM: what is read as it is stored, and what is refused."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from dicom_series import plane
from folder_tree import picture, save
from PIL import Image
from pydicom import Dataset
from refusing import refused

from converters.dicom_frames import count_frames, read_frames
from converters.pictures import count_pages, read_picture

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
