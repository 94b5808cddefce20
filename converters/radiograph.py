"""Digitised chest films: raw 12-bit files, copies of them as PNG, masks of structures; arrays are (columns, rows).

Every film comes out as it is displayed, bright where much was in the way of the rays (DICOM's MONOCHROME2).
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from converters.errors import BenchError
from converters.files import read
from converters.pictures import opened

Pixels = npt.NDArray[np.uint16]
Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]

SIDE, MM = 2048, 358.4  # pixels and length of a film's side
HIGHEST = 4095  # of 12 bits
_STRAYS = 1e-3  # share of pixels above 12 bits that damage explains; read in the wrong byte order, most are
_CLEAR = 0.1  # of the standard deviation: a smaller difference of two means tells nothing
_GREYS = 64  # fewer different values are no radiograph
_PLAIN = ("1", "L", "P", "RGB", "I;16")  # Pillow's names of pictures without transparency
_DEPTH = 24  # byte of a PNG that holds the bits per channel
_AGAIN = "unpack the original archive again"


@dataclasses.dataclass(frozen=True)
class Film:
    """A radiograph.

    Shape: pixels (columns, rows), high is bright.
    """

    pixels: Pixels
    top: int  # value of the brightest possible pixel
    copy: bool  # not the original file
    told: tuple[str, ...]  # what a user must know

    @property
    def spacing(self) -> float:
        """Distance of pixels in mm."""
        return float(MM / self.pixels.shape[0])

    def negative(self) -> "Film":
        """The film with high values dark, and a note of it."""
        told = f"high values were dark, as in MONOCHROME1: turned round ({self.top} - value)"
        return dataclasses.replace(self, pixels=np.uint16(self.top) - self.pixels, told=(*self.told, told))


def read_raw(path: Path) -> Film:
    """A headerless file of 2048 x 2048 big-endian 16-bit numbers, of which 12 bits count; high is dark in it.

    Values above 12 bits are clipped and counted.

    Raises:
        BenchError: the length is another, or so many values lie above 12 bits, or so few differ, that this is no film.
    """
    data = read(path)
    if len(data) != 2 * SIDE * SIDE:
        raise BenchError(f"{path.name}: {len(data)} bytes; expected {2 * SIDE * SIDE:,}", where=path, mend=_AGAIN)
    stored = np.frombuffer(data, ">u2").reshape(SIDE, SIDE).T.astype(np.uint16)
    above = int((stored > HIGHEST).sum())
    if above > _STRAYS * stored.size:
        raise BenchError(
            f"{path.name}: {above / stored.size:.0%} of the pixels lie above 12 bits: "
            "the two bytes of each are swapped, or this is no film",
            where=path,
            mend=_AGAIN,
        )
    _greys(stored, path)
    told = (f"{above} pixels above 12 bits were clipped to {HIGHEST}",) if above else ()
    return Film(np.uint16(HIGHEST) - np.minimum(stored, np.uint16(HIGHEST)), HIGHEST, False, told)


def read_copy(path: Path) -> Film:
    """A square PNG of a film, grey or with a palette of greys, as a program displays it.

    Raises:
        BenchError: the file is damaged, in colours, transparent, or no film.
    """
    pixels, kind = _read(path)
    if pixels.shape[0] != pixels.shape[1]:
        size = " x ".join(map(str, pixels.shape))
        raise BenchError(f"{path.name}: {size} pixels; a film is square", where=path, mend="take an uncropped copy")
    greys = _greys(pixels, path)
    top = 255 if pixels.dtype == np.uint8 else HIGHEST if pixels.max() <= HIGHEST else (1 << 16) - 1
    told = f"a {kind} copy with {greys} grey levels: depth of the 12-bit film was lost"
    return Film(pixels.astype(np.uint16), top, True, (told,))


def read_mask(path: Path) -> Mask:
    """A GIF or PNG with two greys: 0, and 255 or 1.

    Raises:
        BenchError: the file is damaged, or holds other values; all are counted and none is rounded.
    """
    pixels, _ = _read(path)
    counts = np.bincount(pixels.ravel(order="K"))
    values = np.flatnonzero(counts).tolist()
    if len(values) > 2 or not set(values) <= {0, values[-1]} <= {0, 1, 255}:
        greys = ", ".join(f"{value} ({counts[value]} pixels)" for value in values[:5])
        raise BenchError(
            f"{path.name}: a mask of {len(values)} greys: {greys}{' ...' if len(values) > 5 else ''}",
            where=path,
            mend="take the original file: it was resampled, or saved by a program that changed its greys",
        )
    return pixels > 0


def onto(label: Codes, film: Film, where: Path) -> Codes:
    """The label map on the film's grid: each of its pixels covers a square of whole film pixels, and nothing is lost.

    Raises:
        BenchError: it does not.
    """
    factor = film.pixels.shape[0] // label.shape[0]
    if tuple(factor * size for size in label.shape) != film.pixels.shape:
        sizes = [" x ".join(map(str, shape)) for shape in (label.shape, film.pixels.shape)]
        raise BenchError(
            f"the masks have {sizes[0]} pixels, the film {sizes[1]}, which is no whole multiple",
            where=where,
            mend="take the original films, or copies of 1024 x 1024 or 2048 x 2048 pixels",
        )
    return label.repeat(factor, axis=0).repeat(factor, axis=1)


def shows_dark_lungs(film: Film, right: Mask, left: Mask, where: Path) -> bool:
    """Whether the lungs are darker than what lies between them, as on films displayed as usual; or it cannot be told.

    Shape: masks of the film's size, or of a whole part of it.

    Raises:
        BenchError: a lung is empty, or the right one does not lie on the left of the picture: masks are mirrored or
            mixed.
    """
    if not (right.any() and left.any()):
        raise BenchError("the mask of a lung is empty", where=where, mend=_AGAIN)
    columns = np.arange(len(right))
    middle = [float(columns @ mask.sum(axis=1) / mask.sum()) for mask in (right, left)]
    if middle[0] >= middle[1]:
        raise BenchError(
            "in the masks the right lung lies left of the left lung", where=where, mend=f"they were mirrored: {_AGAIN}"
        )
    factor = len(film.pixels) // len(right)
    pixels = film.pixels[::factor, ::factor]
    inner = np.where(right, columns[:, None], -1).max(axis=0)
    outer = np.where(left, columns[:, None], len(columns)).min(axis=0)
    between = (columns[:, None] > inner) & (columns[:, None] < outer) & right.any(axis=0) & left.any(axis=0)
    lungs = pixels[right | left].mean()
    return not between.any() or bool(lungs < pixels[between].mean() + _CLEAR * pixels.std())


def _read(path: Path) -> tuple[npt.NDArray[Any], str]:
    """Grey values as they are displayed (columns, rows), uint8 or uint16, and in words how the file keeps them."""
    kind = path.suffix.upper().lstrip(".")
    with opened(path, kind) as (image, data):
        if getattr(image, "n_frames", 1) > 1 or image.mode not in _PLAIN or "transparency" in image.info:
            raise BenchError(f"{path.name}: several pictures in one, or a transparent one", where=path, mend=_AGAIN)
        grey = image.mode == "P" and _is_grey(image)
        pixels = np.asarray(image.convert("L" if grey else "RGB") if image.mode == "P" else image)
        told = f"{data[_DEPTH] if kind == 'PNG' else 8}-bit {kind}{' with a palette' if image.mode == 'P' else ''}"
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise BenchError(f"{path.name}: drawn in colours", where=path, mend="take the original file")
        pixels = pixels[..., 0]
    return (pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint8, copy=False)).T, told


def _is_grey(image: Image.Image) -> bool:
    """Whether a palette has no colours at all."""
    colours = image.getpalette("RGB") or []
    return colours[::3] == colours[1::3] == colours[2::3]


def _greys(pixels: npt.NDArray[Any], path: Path) -> int:
    """How many different values there are: enough, or it is refused."""
    different = int(np.count_nonzero(np.bincount(pixels.ravel(order="K"))))
    if different < _GREYS:
        raise BenchError(f"{path.name}: {different} different values; this is no radiograph", where=path, mend=_AGAIN)
    return different
