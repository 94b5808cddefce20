"""Pictures (PNG, JPEG, TIFF, BMP), read strictly: what a viewer shows all the same, half of it, or turned, is refused.

Refused: damaged or cut files, a kind that is not the suffix's, more pixels than a picture has, transparency, an
orientation tag, 16 bits of colour (which Pillow would cut to eight), greys that run from white to black, further pages.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from converters.errors import BenchError
from converters.files import read

Pixels = npt.NDArray[Any]

_FORMATS = {"png": "PNG", "jpg": "JPEG", "jpeg": "JPEG", "tif": "TIFF", "tiff": "TIFF", "bmp": "BMP"}
_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "I", "F")
_COLOUR = ("P", "RGB", "LA", "RGBA")
_ORIENTATION = 0x0112  # EXIF and TIFF
_DEPTH, _PHOTOMETRIC, _COMPRESSION = 258, 262, 259  # TIFF tags
_JPEG_IN_TIFF = (6, 7)
logging.getLogger("PIL").setLevel(logging.WARNING)  # below that it logs the values of tags, names of people among them


def read_picture(
    path: Path, *, lossless: bool = False, index: bool = False, pages: bool = False, page: int | None = None
) -> Pixels:
    """The pixels as stored: greys (columns, rows, pages), or colours (columns, rows, pages, 3) of 8 bits.

    Colours that are all greys are given as greys, and transparency that is the same everywhere is left out: nothing is
    lost by either.

    Args:
        path: PNG, JPEG, TIFF or BMP, by its suffix.
        lossless: refuse JPEG, whose values are not those that were drawn.
        index: of a picture with a palette, give the numbers of its colours.
        pages: read all pages of a TIFF; otherwise several are refused.
        page: read this one of a TIFF of several, counted from 0, and no other: a file of many is not decoded for each.

    Raises:
        BenchError: see the head of this module.
    """
    kind = _FORMATS[path.suffix.lower().lstrip(".")]
    if lossless and kind == "JPEG":
        raise _lossy(path)
    with opened(path, kind) as (image, data):
        _check(image, data, path)
        if lossless and kind == "TIFF" and image.tag_v2.get(_COMPRESSION) in _JPEG_IN_TIFF:  # type: ignore[attr-defined]
            raise _lossy(path)
        numbers = range(_count(image, path, pages=pages and kind == "TIFF")) if page is None else (page,)
        stack = [_page(image, data, path, number, index) for number in numbers]
    if any(page.shape != stack[0].shape or page.dtype != stack[0].dtype for page in stack):
        raise BenchError(f"{path.name}: pages of several sizes or kinds", where=path, mend="save them one by one")
    array = np.stack(stack)
    if array.ndim == 4 and (array == array[..., :1]).all():
        array = array[..., 0]
    return array.transpose(2, 1, 0, *range(3, array.ndim))


@contextlib.contextmanager
def opened(path: Path, kind: str) -> Iterator[tuple[Image.Image, bytes]]:
    """The picture, to be decoded inside the block, and its bytes.

    Raises:
        BenchError: it is damaged, cut, too large, or none of that kind, on opening or inside the block.
    """
    data = read(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            Image.open(io.BytesIO(data), formats=[kind]).verify()  # checksums of a PNG, which plain reading skips
            # A JPEG whose second half is zeros, as an interrupted download leaves it, is decoded without a word.
            if kind == "JPEG" and not data.rstrip(b"\0\r\n").endswith(b"\xff\xd9"):
                raise OSError("cut")
            yield Image.open(io.BytesIO(data), formats=[kind]), data
        except BenchError:
            raise
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise BenchError(
                f"{path.name}: the header claims more than {Image.MAX_IMAGE_PIXELS} pixels", where=path
            ) from None
        except Exception:  # the plug-ins share no error type
            raise BenchError(f"{path.name}: damaged {kind}", where=path, mend="download it again") from None


def count_pages(path: Path) -> int:
    """The pages of a TIFF; 1 of any other picture, and of a damaged one, which is found on reading."""
    if _FORMATS[path.suffix.lower().lstrip(".")] == "TIFF":
        with contextlib.suppress(BenchError), opened(path, "TIFF") as (image, _):
            return int(getattr(image, "n_frames", 1))
    return 1


def _count(image: Image.Image, path: Path, *, pages: bool) -> int:
    count = getattr(image, "n_frames", 1)
    if count > 1 and not pages:
        raise BenchError(f"{path.name}: {count} pages", where=path, mend='pages = "slices" or "frames" in the TOML')
    return count


def _lossy(path: Path) -> BenchError:
    return BenchError(
        f"{path.name}: a mask that went through JPEG has lost its values",
        where=path,
        mend="take the masks as they were drawn, as PNG or TIFF",
    )


def _page(image: Image.Image, data: bytes, path: Path, number: int, index: bool) -> Pixels:
    """One page, (rows, columns) or (rows, columns, 3)."""
    if number:
        try:
            image.seek(number)
        except EOFError:
            raise BenchError(f"{path.name}: {image.tell() + 1} pages; no page {number + 1}", where=path) from None
        _check(image, data, path)
    pixels = np.asarray(image.convert("RGB") if image.mode == "P" and not index else image)
    if image.mode in ("LA", "RGBA"):
        if np.ptp(pixels[..., -1]):
            raise BenchError(f"{path.name}: parts of the picture are transparent", where=path, mend="save it opaque")
        pixels = pixels[..., 0] if image.mode == "LA" else pixels[..., :3]
    if image.mode == "F" and not np.isfinite(pixels).all():
        raise BenchError(f"{path.name}: {int((~np.isfinite(pixels)).sum())} pixels are NaN or infinite", where=path)
    if image.format == "PNG" and image.mode == "L" and data[24] in (2, 4):
        pixels = pixels // (85 if data[24] == 2 else 17)  # Pillow stretches greys of few bits to 0..255
    kind = np.dtype(np.uint8) if image.mode == "1" else pixels.dtype.newbyteorder("=")
    return pixels.astype(kind)


def _check(image: Image.Image, data: bytes, path: Path) -> None:
    if image.mode not in (*_GREY, *_COLOUR):
        raise BenchError(f"{path.name}: {image.mode} is not read", where=path, mend="save it in greys or RGB")
    if "transparency" in image.info:
        raise BenchError(f"{path.name}: parts of the picture are transparent", where=path, mend="save it opaque")
    if (turn := image.getexif().get(_ORIENTATION, 1)) != 1:
        raise BenchError(
            f"{path.name}: its orientation tag says {turn}: viewers turn it; whether its mask is turned is not said",
            where=path,
            mend="save the picture as its mask lies, without the tag",
        )
    deep = image.format == "PNG" and data[24] == 16
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        deep = max(tags.get(_DEPTH, (1,))) > 8
        if tags.get(_PHOTOMETRIC) == 0:
            raise BenchError(
                f"{path.name}: its greys run from white to black", where=path, mend="save it as BlackIsZero"
            )
    if deep and image.mode in _COLOUR:
        raise BenchError(f"{path.name}: colours of more than 8 bits are not read", where=path, mend="save as 8 bits")
