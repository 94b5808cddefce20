"""Label PNGs: faults 25 to 28 of the acceptance list as far as one stack of files can show them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from converters.errors import BenchError
from converters.png import read_labels

CODES = {1: (range(55, 71),), 4: (range(240, 256),)}
GREY = np.zeros((6, 8), np.uint8)  # (rows, columns)
GREY[1:3, 2:7] = 63
GREY[4, 5] = 252
WANTED = np.zeros((8, 6), np.uint8)
WANTED[2:7, 1:3] = 1
WANTED[5, 4] = 4


def save(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path


def test_grey_values_become_codes_slice_by_slice(tmp_path: Path) -> None:
    first = save(tmp_path / "b.png", Image.fromarray(GREY))
    second = save(tmp_path / "a.png", Image.fromarray(GREY * 0))
    labels = read_labels([first, second], CODES, (8, 6))
    assert labels.dtype == np.uint8 and labels.shape == (8, 6, 2)
    assert np.array_equal(labels[..., 0], WANTED) and not labels[..., 1].any()


def test_one_bit_files_hold_0_and_1(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GREY == 63))
    assert Image.open(path).mode == "1"
    assert np.array_equal(read_labels([path], {1: (range(1, 2),)}, (8, 6))[..., 0], WANTED == 1)


@pytest.mark.fault(27)
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_greys_in_another_guise_are_read(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(GREY).convert(mode)
    if mode == "P":
        # A palette that runs backwards: the stored index is not the grey.
        image = Image.fromarray(255 - GREY, "L").copy()
        image.putpalette([v for grey in range(255, -1, -1) for v in (grey, grey, grey)])
    path = save(tmp_path / "a.png", image)
    assert Image.open(path).mode == mode
    assert np.array_equal(read_labels([path], CODES, (8, 6))[..., 0], WANTED)


@pytest.mark.fault(26)
def test_values_outside_the_map_are_counted_and_never_rounded(tmp_path: Path) -> None:
    edges = GREY.copy()
    edges[0, :3], edges[5, 7] = 31, 100
    path = save(tmp_path / "edges.png", Image.fromarray(edges))
    with pytest.raises(BenchError, match=r"edges.png: values outside the label map: 31 \(3 pixels\), 100 \(1 pixels\)"):
        read_labels([path], CODES, (8, 6))


@pytest.mark.fault(27, 28)
@pytest.mark.parametrize(
    ("image", "told"),
    [
        (Image.fromarray(GREY.astype(np.uint16) * 257), "16-bit"),
        (Image.fromarray(np.stack([GREY, GREY, GREY * 0], axis=-1)), "colours"),
        (Image.fromarray(GREY).convert("LA"), "LA PNG"),
        (Image.fromarray(GREY).convert("RGBA"), "RGBA PNG"),
        (Image.fromarray(GREY[:, :7]), "the label has 7 x 6 pixels, the image 8 x 6"),
    ],
    ids=["16 bit", "colour", "LA", "RGBA", "size"],
)
def test_what_has_no_single_reading_is_refused(tmp_path: Path, image: Image.Image, told: str) -> None:
    with pytest.raises(BenchError, match=told):
        read_labels([save(tmp_path / "a.png", image)], CODES, (8, 6))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.fromarray(GREY))
    data = path.read_bytes()
    body = data.index(b"IDAT") + 8
    for spoilt in (data[: body + 4], data[:body] + bytes([data[body] ^ 8]) + data[body + 1 :], b"", b"<html>"):
        path.write_bytes(spoilt)
        with pytest.raises(BenchError, match="damaged PNG"):
            read_labels([path], CODES, (8, 6))
