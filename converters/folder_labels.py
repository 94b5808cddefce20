"""Masks as drawn -> label maps in our codes: every value by the description, and none by its neighbour."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.dataset import IGNORE
from converters.errors import BenchError
from converters.folder_config import WHOLE, FolderConfig, Value, of, span
from converters.regions import Regions

Pixels = npt.NDArray[Any]
Codes = npt.NDArray[np.uint8]

_UNKNOWN = 256
_WIDEST = 1 << 24  # between the least and the greatest value: all colours of 8 bits


def regions(config: FolderConfig) -> Regions:
    """Each structure has a code, and each declared overlap of several one of its own."""
    return Regions.of(tuple(config.labels), config.overlaps, ())


def numbers(drawn: Pixels, config: FolderConfig, path: Path) -> Pixels:
    """Whole numbers (X, Y, Z): the greys, or red, green and blue as one number where the description has colours.

    Shape: drawn (X, Y, Z) or, in colours, (X, Y, Z, 3).

    Raises:
        BenchError: the mask is in colours and the description in greys; greys that are no whole numbers.
    """
    if drawn.ndim == 4:
        if not config.coloured:
            raise BenchError(
                f"{path.name}: the mask is drawn in colours",
                where=path,
                mend='give the labels as colours, "#rrggbb", or set palette = "index" where the file has a palette',
            )
        red, green, blue = (drawn[..., k].astype(np.int32) for k in range(3))
        return (red << 16) | (green << 8) | blue
    if drawn.dtype.kind == "f" and (broken := drawn != np.rint(drawn)).any():
        raise BenchError(
            f"{path.name}: {int(broken.sum())} values are no whole numbers",
            where=path,
            mend="the mask was interpolated: take the one on the original grid",
        )
    if config.coloured and drawn.dtype != np.uint8:
        raise BenchError(f"{path.name}: {drawn.dtype} greys where colours are wanted", where=path)
    return drawn.astype(np.int32) * 0x010101 if config.coloured else drawn


def coded(drawn: Pixels, structure: str, config: FolderConfig, path: Path) -> Codes:
    """The codes of a mask of all structures; of a mask of one of them 1, 0, and 255 for ignored.

    Raises:
        BenchError: values that the description does not know; they are listed with their counts.
    """
    meaning = _meaning(structure, config)
    low, high = int(drawn.min()), int(drawn.max())
    if high - low >= _WIDEST:
        raise BenchError(f"{path.name}: values from {low} to {high} are no map of structures", where=path)
    table = np.full(high - low + 1, _UNKNOWN, np.uint16)
    for number, code in meaning.items():
        if low <= number <= high:
            table[number - low] = code
    codes = table[drawn.astype(np.int32) - low]
    if (unknown := codes == _UNKNOWN).any():
        values, counts = np.unique(drawn[unknown], return_counts=True)
        told = [
            f"{_told(int(v), config)} ({n} {'voxels' if config.ndim == 3 else 'pixels'})"
            for v, n in zip(values, counts, strict=True)
        ]
        more = f" and {len(told) - 10} more" if len(told) > 10 else ""
        raise BenchError(
            f"{path.name}: values outside the description: {', '.join(told[:10])}{more}",
            where=path,
            mend="name them under [labels], background or ignore; or take the original file: nothing is rounded",
        )
    return codes.astype(np.uint8)


def joined(masks: Mapping[str, Codes], config: FolderConfig, where: Path) -> Codes:
    """One label map of the masks of single structures; a structure without one is not there.

    Raises:
        BenchError: structures overlap that the description does not let overlap.
    """
    nothing = np.zeros(next(iter(masks.values())).shape, bool)
    drawn = {name: masks[name] == 1 if name in masks else nothing for name in config.labels}
    try:
        label = regions(config).encode(drawn)
    except BenchError as error:
        raise BenchError(
            error.what, where=where, mend='if they may: overlaps = [["one", "other"]] in the TOML, every such group'
        ) from None
    label[np.any([mask == IGNORE for mask in masks.values()], axis=0)] = IGNORE
    return label


def _meaning(structure: str, config: FolderConfig) -> dict[int, int]:
    """Number in the file -> code."""
    named = list(config.values) if structure == WHOLE else [structure]
    said: list[tuple[int, tuple[Value, ...]]] = [(0, config.ground), (IGNORE, of(config.ignore))]
    said += [(code, config.values[name]) for code, name in enumerate(named, 1)]
    return {number: code for code, values in said for value in values for number in span(value)}


def _told(value: int, config: FolderConfig) -> str:
    return f"#{value:06x}" if config.coloured else str(value)
