"""The voxel values of a DICOM series: rescaled slice by slice, and refused where they cannot be Hounsfield units."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.dicom_file import Slice, Slices
from converters.errors import BenchError

PLAUSIBLE_HU = (-1100, 4000)
WRAPPED_HU = 30000  # no metal reaches this; a negative value read without its sign does
NEEDS_RESCALE = {"CT", "PT"}  # their units exist only after the rescale


def filled(ordered: Slices) -> tuple[np.ndarray[tuple[int, int, int], np.dtype[np.generic]], list[str]]:
    """Rescaled values, slice by slice with each slice's own slope and intercept, in one array."""
    inverted = ordered[0].photometric == "MONOCHROME1" and ordered[0].modality not in NEEDS_RESCALE
    scales = [_scale(s, inverted) for s in ordered]
    ends = [end * m + b for s, (m, b) in zip(ordered, scales, strict=True) for end in _ends(s)]
    low, high = min(ends), max(ends)
    whole = all(float(m).is_integer() and float(b).is_integer() for m, b in scales)
    fits = whole and low >= -32768 and high <= 32767
    rows, columns = ordered[0].pixels.shape
    # Slice by slice in C order is, with the axes turned round, the order in which NIfTI stores a volume.
    array = np.empty((len(ordered), rows, columns), np.dtype(np.int16 if fits else np.float32))
    for target, one, (slope, intercept) in zip(array, ordered, scales, strict=True):
        if fits and slope == 1 and one.pixels.dtype.itemsize == 2:
            # Modulo 2**16, in which the sum is right since it fits.
            np.add(one.pixels.view(np.int16), np.int64(intercept).astype(np.int16), out=target)
        else:
            target[...] = one.pixels * np.float64(slope) + intercept
    unlikely = ordered[0].modality == "CT" and (low < PLAUSIBLE_HU[0] or high > PLAUSIBLE_HU[1])
    notes = _hounsfield(array, ordered[0].path.parent) if unlikely else []
    if ordered[0].photometric == "MONOCHROME1":
        notes.append(
            "MONOCHROME1: " + ("inverted, so that high is bright" if inverted else "values kept, their unit is fixed")
        )
    return array.transpose(2, 1, 0), notes


def _scale(one: Slice, inverted: bool) -> tuple[float, float]:
    slope, intercept = one.rescale or (1.0, 0.0)
    if not inverted:
        return slope, intercept
    # v -> low + high - v on the stored values, written as a slope and an intercept.
    return -slope, intercept + slope * sum(one.stored_range)


def _ends(one: Slice) -> tuple[int, int]:
    return int(one.pixels.min()), int(one.pixels.max())


def _hounsfield(array: npt.NDArray[np.float32 | np.int16], where: Path) -> list[str]:
    """Refuse what cannot be Hounsfield units: a wrong sign bit or intercept throws air or tissue far outside.

    Scanners fill the corners outside the field of view with one value such as -2000 or -3024, and a few voxels of metal
    or noise may lie outside too: one constant low value, and one voxel in a thousand, pass with a note.
    """
    low, high = PLAUSIBLE_HU
    fill, highest = float(array.min()), float(array.max())
    filled = np.count_nonzero(array == fill) if fill < low else 0
    rest = np.count_nonzero((array < low) | (array > high)) - filled
    if rest > array.size / 1000 or filled == array.size or highest > WRAPPED_HU:
        raise BenchError(
            f"{rest + filled} of {array.size} voxels lie outside {low} to {high} HU ({fill:g} to {highest:g})",
            where=where,
            mend="the sign of the pixels or the rescale tags are wrong: export the series again",
        )
    return [f"{filled} voxels hold a fill value of {fill:g} HU, {rest} others lie outside {low} to {high} HU"]
