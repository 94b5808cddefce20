"""Label maps drawn as PNG files, one per slice, read by a map from grey values to codes and by nothing else.

One-bit and 8-bit grey PNGs are read as they are; palette and RGB ones where every colour in them is a grey, which loses
nothing. 16 bits, transparency and true colours have no single reading and are refused.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from converters.errors import BenchError
from converters.pictures import opened

Codes = Mapping[int, Sequence[range]]  # label code -> grey values that mean it; 0 is background and needs no entry
Label = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]

_UNKNOWN = 255


def read_labels(paths: Sequence[Path], codes: Codes, shape: tuple[int, int]) -> Label:
    """The label slices as one array (columns, rows, slices), in the order of `paths`.

    Args:
        paths: one PNG per slice.
        codes: which grey values mean which code.
        shape: (columns, rows) of the image slices.

    Raises:
        BenchError: a file is damaged, of another size or kind, or holds a grey value outside the map; all such values
            are counted and none is rounded to its neighbour.
    """
    table = _table(codes)
    columns, rows = shape
    stack = np.empty((len(paths), rows, columns), np.uint8)
    for target, path in zip(stack, paths, strict=True):
        grey = _grey(path, shape)
        np.take(table, grey, out=target)
        if (unknown := target == _UNKNOWN).any():
            values, counts = np.unique(grey[unknown], return_counts=True)
            told = ", ".join(f"{value} ({count} pixels)" for value, count in zip(values, counts, strict=True))
            raise BenchError(
                f"{path.name}: values outside the label map: {told}",
                where=path,
                mend="take the original file: it was resampled, or saved by a program that changed its greys",
            )
    return stack.transpose(2, 1, 0)


def _table(codes: Codes) -> npt.NDArray[np.uint8]:
    table = np.full(256, _UNKNOWN, np.uint8)
    table[0] = 0
    for code, greys in codes.items():
        for run in greys:
            table[run.start : run.stop] = code
    return table


def _grey(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Grey values (rows, columns); one-bit images give 0 and 1."""
    with opened(path, "PNG") as (image, data):
        _check(image, data, path, shape)
        pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            raise BenchError(f"{path.name}: the label is drawn in colours", where=path, mend="take the original file")
        pixels = pixels[..., 0]
    return pixels.astype(np.uint8)


def _check(image: Image.Image, data: bytes, path: Path, shape: tuple[int, int]) -> None:
    if image.size != shape:
        sizes = [f"{columns} x {rows}" for columns, rows in (image.size, shape)]
        raise BenchError(f"{path.name}: the label has {sizes[0]} pixels, the image {sizes[1]}", where=path)
    depth = data[24]  # bits per channel, at its fixed place in the header
    if image.mode not in ("1", "L", "P", "RGB") or depth == 16 or "transparency" in image.info:
        raise BenchError(
            f"{path.name}: a {depth}-bit {image.mode} PNG is no label map", where=path, mend="take the original file"
        )
