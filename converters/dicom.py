"""A DICOM series as a Volume, read strictly: geometry from positions alone, and nothing guessed.

A slice that is cut, doubled, missing, tilted, of another size, orientation, patient or series stops the reading; other
readers drop such slices, stretch the spacing over the hole, or take 1.0 for a spacing that is not there.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.dicom_acquisition import acquisition
from converters.dicom_file import Slice, read_slices
from converters.dicom_stack import Stack, stack
from converters.dicom_tags import number, quiet, text
from converters.errors import BenchError, UsageError
from converters.files import natural_key, sha256
from converters.volume import Volume

Slices = tuple[Slice, ...]

PLAUSIBLE_HU = (-1100, 4000)
WRAPPED_HU = 30000  # no metal reaches this; a negative value read without its sign does
NEEDS_RESCALE = {"CT", "PT"}  # their units exist only after the rescale
LOSSY = "the pixels went through lossy compression"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclasses.dataclass(frozen=True)
class Series:
    """A series read whole.

    Shape: volume (columns, rows, slices), int16 where the rescaled values are integers that fit, else float32; `files`
    stands in the order of the last axis, one per slice, so labels drawn per file can follow.
    """

    volume: Volume
    files: tuple[Path, ...]
    frames: tuple[int, ...]  # for each slice its frame in its file, from 0
    acquisition: dict[str, str | float]  # allow-listed scanner settings that all slices share
    warnings: tuple[str, ...]  # hold no value of an identifying tag and no file name
    skipped: tuple[Path, ...] = ()  # files that are no images


@quiet()
def read_series(files: Sequence[Path], *, series: str | None = None, allow_gaps: bool = False) -> Series:
    """The one series in these files, in any order.

    Args:
        files: DICOM files; junk and files that are no images are skipped and listed.
        series: where the files hold several series, the UID of one, or its short hash as the error lists it.
        allow_gaps: where slices are missing, take the longest run without a gap instead of refusing.

    Raises:
        BenchError: a fault of one file or of the series as a whole.
        EnvironmentFault: the pixels are compressed and no decoder is installed.
        UsageError: `series` names none of those found.
    """
    # Of two copies the shorter name is kept: "i0001 (1).dcm" is not the original.
    paths = sorted(files, key=lambda path: (len(path.name), natural_key(path)))
    read = {path: read_slices(path) for path in paths}
    skipped = tuple(path for path, slices in read.items() if not slices)
    found = _picked(tuple(s for slices in read.values() for s in slices), series, paths)
    slices, doubles = _without_copies(found)
    check_same(slices)
    ordered, geometry = stack(slices, allow_gaps=allow_gaps)
    array, notes = filled(ordered)
    told = [f"{len(skipped)} file(s) are no images and were skipped"] if skipped else []
    told += [f"{doubles} file(s) are copies of others and were dropped"] if doubles else []
    told += [*geometry.warnings, *notes, *_remarks(ordered, geometry)]
    return Series(
        volume=Volume(array, _affine(ordered, geometry.step)),
        files=tuple(s.path for s in ordered),
        frames=tuple(s.frame for s in ordered),
        acquisition=acquisition([s.tags for s in ordered]),
        warnings=tuple(told),
        skipped=skipped,
    )


def _picked(found: Slices, series: str | None, paths: Sequence[Path]) -> Slices:
    where = paths[0].parent if paths else None
    if not found:
        raise BenchError("no DICOM images here", where=where)
    uids = dict.fromkeys(s.series for s in found)
    if series is not None and len(uids) > 1:  # a folder with one leaves nothing to pick
        chosen = tuple(s for s in found if series in (s.series, _short(s.series)))
        if not chosen:
            raise UsageError(f"no series '{series}'", where=where, mend=f"found: {', '.join(map(_short, uids))}")
        return chosen
    # Some anonymisers give every file a series of its own: then the UID tells nothing, and geometry must decide.
    if len(uids) == 1 or len(uids) == len(found) > 2:
        return found
    lines = [_described(tuple(s for s in found if s.series == uid)) for uid in uids]
    raise BenchError(
        f"{len(uids)} series in one folder: {'; '.join(lines)}",
        where=where,
        mend="pick one with --series, or move all but one out of the folder",
    )


def _described(slices: Slices) -> str:
    first = slices[0]
    rows, columns = first.pixels.shape
    return (
        f"{_short(first.series)} ({len(slices)} slices of {columns} x {rows}, {first.modality}, from {first.path.name})"
    )


def _short(uid: str) -> str:
    # Raw UIDs lead back to a hospital's archive; eight digits of a hash tell two series apart as well.
    return sha256(uid.encode())[:8]


def _without_copies(found: Slices) -> tuple[Slices, int]:
    kept: dict[tuple[object, int], Slice] = {}
    for one in found:
        key = (one.uid or one.path, one.frame)
        first = kept.setdefault(key, one)
        if first is one:
            continue
        if not (np.array_equal(first.pixels, one.pixels) and np.array_equal(first.position, one.position)):
            raise BenchError(
                f"{first.path.name} and {one.path.name} carry one SOP instance UID and differ",
                where=one.path.parent,
                mend="keep the right one",
            )
    return tuple(kept.values()), len(found) - len(kept)


def check_same(slices: Slices) -> None:
    """What all slices of a series must share, of one file against most others."""
    where = slices[0].path.parent
    if len({s.patient for s in slices}) > 1:
        # Which of the identities is which stays unsaid: messages end up in logs.
        odd = _odd(slices, lambda s: s.patient)
        raise BenchError(
            f"two patients in one series: {odd.path.name} is another's", where=where, mend="move them apart"
        )
    facts: dict[str, Callable[[Slice], Hashable]] = {
        "modality": lambda s: s.modality,
        "size": lambda s: f"{s.pixels.shape[1]} x {s.pixels.shape[0]}",
        "photometric interpretation": lambda s: s.photometric,
        "rescale tags": lambda s: "present" if s.rescale else "absent",
    }
    for name, fact in facts.items():
        if len({fact(s) for s in slices}) > 1:
            odd = _odd(slices, fact)
            usual = next(fact(s) for s in slices if fact(s) != fact(odd))
            raise BenchError(f"{odd.path.name}: {name} {fact(odd)}; the other slices: {usual}", where=odd.path)
    if slices[0].rescale is None and slices[0].modality in NEEDS_RESCALE:
        raise BenchError(
            f"no RescaleSlope (0028,1053) and RescaleIntercept (0028,1052) in a {slices[0].modality} series",
            where=where,
            mend="export the series again with them; without them its values have no unit",
        )


def _odd(slices: Slices, fact: Callable[[Slice], Hashable]) -> Slice:
    counts = Counter(fact(s) for s in slices)
    rarest = min(counts, key=lambda value: counts[value])
    return next(s for s in slices if fact(s) == rarest)


def _affine(ordered: Slices, step: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(column, row, slice) index -> RAS mm. DICOM's first direction is that in which the column index grows."""
    first = ordered[0]
    between_rows, between_columns = first.spacing
    lps = np.eye(4)
    lps[:3, 0] = first.orientation[0] * between_columns
    lps[:3, 1] = first.orientation[1] * between_rows
    lps[:3, 2] = step
    lps[:3, 3] = first.position
    # The sum turns the -0.0 of a flipped zero into 0.0.
    return np.asarray(_LPS_TO_RAS @ lps + 0.0, dtype=np.float64)


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


def _remarks(ordered: Slices, geometry: Stack) -> list[str]:
    first = ordered[0]
    step = float(np.linalg.norm(geometry.step))
    thickness = number(first.tags, "SliceThickness", first.path)
    remarks = []
    if thickness is not None and abs(thickness - step) > step / 100:
        remarks.append(f"SliceThickness says {thickness:g} mm; the positions step {step:.6g} mm, which counts")
    if not all(s.preamble for s in ordered):
        remarks.append("files without the DICOM preamble were read all the same")
    return remarks + pixel_remarks(ordered)


def pixel_remarks(slices: Slices) -> list[str]:
    """What a user must know of the pixels themselves."""
    remarks = []
    if any(text(s.tags, "BurnedInAnnotation") == "YES" for s in slices):
        remarks.append("BurnedInAnnotation is YES: the pixels may show a name")
    if any(text(s.tags, "LossyImageCompression") == "01" for s in slices):
        remarks.append(LOSSY)
    return remarks
