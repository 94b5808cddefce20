"""From loose slices to a regular stack: order, spacing, gaps, tilt. Positions decide; no other tag is asked."""

import dataclasses
import itertools

import numpy as np
import numpy.typing as npt

from converters.dicom_file import Slice, Slices
from converters.errors import BenchError

Vectors = npt.NDArray[np.float64]

SAME_DIRECTION = 1e-3  # radians, 0.06 degrees: tags are written with six decimals or fewer
SAME_PLACE = 1e-3  # mm
MAX_TILT = 0.1  # degrees; over a stack of 300 mm half a millimetre
MAX_UNEVEN = 0.01  # of the spacing


@dataclasses.dataclass(frozen=True)
class Stack:
    """The vector in LPS mm from one slice to the next, and what was noted on the way."""

    step: Vectors
    warnings: tuple[str, ...] = ()


def stack(slices: Slices, *, allow_gaps: bool) -> tuple[Slices, Stack]:
    """The slices in order along their normal, and the step between them.

    The normal is the cross product of the row and the column direction, so the axes stay right-handed. InstanceNumber
    and SliceLocation are ignored: both run backwards in real data.

    Raises:
        BenchError: fewer than two slices, two at one place, another orientation or in-plane spacing, gantry tilt, a
            gap, spacing uneven by more than 1 %.
    """
    if len(slices) < 2:
        raise BenchError(
            "one slice alone has no spacing",
            where=slices[0].path,
            mend="give the whole series; SliceThickness does not stand in for positions",
        )
    normal = _normal(slices)
    _check_in_plane(slices)
    heights = np.array([s.position @ normal for s in slices])
    order = np.argsort(heights, kind="stable")
    ordered, heights = tuple(slices[i] for i in order), heights[order]
    _check_places(ordered, heights)
    run, warnings = _even_run(ordered, heights, allow_gaps)
    ordered, heights = ordered[run], heights[run]
    _check_tilt(ordered, heights, normal)
    step = (ordered[-1].position - ordered[0].position) / (len(ordered) - 1)
    return ordered, Stack(step, warnings)


def _normal(slices: Slices) -> Vectors:
    # The median direction is the majority's: one slice of another orientation cannot move it.
    usual = np.median([s.orientation for s in slices], axis=0)
    for one in slices:
        if np.abs(one.orientation - usual).max() > SAME_DIRECTION:
            raise BenchError(
                f"{one.path.name}: orientation differs from the other slices'; it is turned by "
                f"{_turn(one.orientation, usual):.1f} degrees",
                where=one.path,
                mend="take the slice, perhaps a localiser, out of the folder",
            )
    return _unit(np.cross(*usual))


def _turn(a: Vectors, b: Vectors) -> float:
    """Degrees of the rotation between two pairs of directions, in the plane or out of it."""
    frames = [np.stack([_unit(row), _unit(column), _unit(np.cross(row, column))]) for row, column in (a, b)]
    return float(np.degrees(np.arccos(np.clip((np.trace(frames[0] @ frames[1].T) - 1) / 2, -1, 1))))


def _unit(vector: Vectors) -> Vectors:
    length = np.linalg.norm(vector)
    return np.asarray(vector / (length if length > 0 else 1.0), dtype=np.float64)


def _check_in_plane(slices: Slices) -> None:
    spacings = np.array([s.spacing for s in slices])
    usual = np.median(spacings, axis=0)
    off = np.abs(spacings / usual - 1).max(axis=1)
    if off.max() > SAME_PLACE:
        odd = slices[int(off.argmax())]
        raise BenchError(
            f"{odd.path.name}: PixelSpacing {odd.spacing[0]:g}, {odd.spacing[1]:g}; "
            f"the other slices: {usual[0]:g}, {usual[1]:g}",
            where=odd.path,
        )


def _check_places(ordered: Slices, heights: Vectors) -> None:
    same = np.flatnonzero(np.diff(heights) < SAME_PLACE)
    if same.size:
        pairs = [f"{_name(ordered[i])} and {_name(ordered[i + 1])}" for i in same]
        raise BenchError(
            f"{same.size} slice(s) lie where another lies: {'; '.join(pairs[:5])}{' ...' if len(pairs) > 5 else ''}",
            where=ordered[0].path.parent,
            mend="these are two acquisitions, or a file was changed: keep one of each pair",
        )


def _even_run(ordered: Slices, heights: Vectors, allow_gaps: bool) -> tuple[slice, tuple[str, ...]]:
    steps = np.diff(heights)
    expected = float(np.median(steps))
    gaps = np.flatnonzero(steps > expected * (1 + MAX_UNEVEN))
    whole = np.abs(steps / expected - np.rint(steps / expected)) <= MAX_UNEVEN
    if not whole.all():
        raise BenchError(
            f"uneven spacing: {steps.min():.4g} to {steps.max():.4g} mm between slices, more than 1 % apart",
            where=ordered[0].path.parent,
            mend="the series is no regular stack: resample it first",
        )
    if not gaps.size:
        return slice(0, len(ordered)), ()
    if not allow_gaps:
        before = ordered[gaps[0]]
        more = f" and {gaps.size - 1} more" if gaps.size > 1 else ""
        raise BenchError(
            f"gap of {steps[gaps[0]]:.1f} mm after {_place(before)}; expected {expected:.1f}{more}",
            where=before.path,
            mend="find the missing slices: nothing is stretched over a hole; --allow-gaps takes the longest run",
        )
    ends = [0, *(gaps + 1).tolist(), len(ordered)]
    start, stop = max(itertools.pairwise(ends), key=lambda run: run[1] - run[0])
    return slice(start, stop), (f"{gaps.size} gap(s): slices {start} to {stop - 1} of {len(ordered)} were taken",)


def _check_tilt(ordered: Slices, heights: Vectors, normal: Vectors) -> None:
    """Slices must lie straight above one another: a sheared grid has no place in a NIfTI header."""
    positions = np.array([s.position for s in ordered])
    aside = positions - positions[0] - np.outer(heights - heights[0], normal)
    drift = aside[-1] * ((heights - heights[0]) / (heights[-1] - heights[0]))[:, None]
    angle = np.degrees(np.arctan2(np.linalg.norm(aside[-1]), heights[-1] - heights[0]))
    jump = np.linalg.norm(aside - drift, axis=1)
    if jump.max() > (heights[-1] - heights[0]) / (len(ordered) - 1) / 10:
        odd = ordered[int(jump.argmax())]
        raise BenchError(f"{odd.path.name} lies {jump.max():.1f} mm aside of the other slices", where=odd.path)
    if angle > MAX_TILT:
        raise BenchError(
            f"the slices are sheared by {angle:.1f} degrees (gantry tilt)",
            where=ordered[0].path.parent,
            mend="resample the series to an upright grid first",
        )


def _name(one: Slice) -> str:
    return f"{one.path.name} frame {one.frame + 1}" if "NumberOfFrames" in one.tags[-1] else one.path.name


def _place(one: Slice) -> str:
    axis = int(np.abs(np.cross(*one.orientation)).argmax())
    return f"{'xyz'[axis]}={one.position[axis]:.1f}"
