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
from converters.dicom_file import Slice, Slices, read_slices
from converters.dicom_stack import Stack, stack
from converters.dicom_tags import number, quiet, text
from converters.dicom_values import NEEDS_RESCALE, filled
from converters.errors import BenchError, UsageError
from converters.files import natural_key, sha256
from converters.volume import Volume

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
