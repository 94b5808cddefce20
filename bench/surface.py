"""Measure two label maps once: counts, volumes and both sets of surface distances of every structure."""

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from bench.boundary import Rims, rims
from bench.distances import Distances, Mask, between, border
from bench.lesions import Lesions, lesions
from converters.dataset import IGNORE
from converters.errors import BenchError

Status = Literal["ok", "both_empty", "missed", "false", "invalid"]
Labels = npt.NDArray[np.uint8]
Box = tuple[slice, ...]
CODES = 256


@dataclasses.dataclass(frozen=True)
class Measured:
    """All that the metrics of one structure in one case are functions of.

    Distances are sorted, in mm, one for each border voxel: from the reference's border to the prediction's, and back.
    None where one of the two is empty, for then there is nothing to measure to. The masks and their borders are cut to
    the box around both; what takes longer than the distances is measured from them when it is asked for.
    """

    status: Status
    tp: int
    fp: int
    fn: int
    voxel_ml: float
    distances_reference: Distances | None
    distances_prediction: Distances | None
    diagonal_mm: float
    touches_border: bool
    ignored: int
    masks: tuple[Mask, Mask]  # reference and prediction
    borders: tuple[Mask, Mask]
    spacing: tuple[float, ...]

    @functools.cached_property
    def lesions(self) -> Lesions:
        """Connected parts of both sides."""
        return lesions(*self.masks)

    def rims(self, depth: float) -> Rims:
        """Voxels of both sides within so many mm of their own border."""
        return rims(self.masks, self.borders, self.spacing, depth)


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two label maps on one grid, cut to the box around everything that is not background in either.

    Shape: axes of length 1 are dropped and the rest reversed, so that NIfTI's column order is contiguous here. One
    order for every memory layout, so that the last bit of a sum of squares does not hang on where a volume came from.
    """

    reference: Labels
    prediction: Labels
    spacing: tuple[float, ...]
    origin: tuple[int, ...]  # of the box in the whole grid
    shape: tuple[int, ...]  # of the whole grid
    counts: npt.NDArray[np.int64]  # (256, 256) voxels by reference code and prediction code, over the whole grid
    voxel_ml: float
    ignored: int  # voxels that are IGNORE in the reference: background in both

    @property
    def diagonal_mm(self) -> float:
        """Length of the whole grid's diagonal: the most that two voxels can be apart, and one voxel more."""
        return math.sqrt(sum((n * s) ** 2 for n, s in zip(self.shape, self.spacing, strict=True)))

    @property
    def reference_codes(self) -> tuple[int, ...]:
        """Foreground codes that the reference holds."""
        return _codes(self.counts.sum(axis=1))

    @property
    def prediction_codes(self) -> tuple[int, ...]:
        """Foreground codes that the prediction holds."""
        return _codes(self.counts.sum(axis=0))


def pair(reference: npt.NDArray[np.generic], prediction: npt.NDArray[np.generic], spacing: Sequence[float]) -> Pair:
    """Two label maps made ready for measuring: unannotated voxels to background, one histogram, one common box.

    Args:
        reference: integers 0..255; where it says 255 nobody annotated, and both maps count as background.
        prediction: integers 0..255 of the same shape.
        spacing: mm along each axis of the arrays.

    Raises:
        BenchError: the shapes differ, or the spacing has another length.
    """
    if reference.shape != prediction.shape or len(spacing) != reference.ndim:
        raise BenchError(f"reference {reference.shape}, prediction {prediction.shape}, spacing {tuple(spacing)} differ")
    kept = [axis for axis, length in enumerate(reference.shape) if length > 1] or [0]
    dropped = tuple(axis for axis in range(reference.ndim) if axis not in kept)
    shape = tuple(reference.shape[axis] for axis in kept)
    # No copy of a NIfTI array: it lies in column order, which its transpose makes row order.
    g, p = (np.ascontiguousarray(np.squeeze(_bytes(a), dropped).T) for a in (reference, prediction))
    ignored = 0
    if g.max(initial=0) == IGNORE:
        unseen = g == IGNORE
        ignored = int(unseen.sum())
        g, p = np.where(unseen, 0, g), np.where(unseen, 0, p)
    box = bounding_box(g | p)
    g, p = np.ascontiguousarray(g[box]), np.ascontiguousarray(p[box])
    joint = g.astype(np.uint16) << 8 | p
    counts = np.bincount(joint[joint > 0], minlength=CODES * CODES).reshape(CODES, CODES)
    counts[0, 0] = reference.size - counts.sum()
    return Pair(
        g,
        p,
        tuple(float(spacing[axis]) for axis in reversed(kept)),
        tuple(side.start for side in box),
        shape[::-1],
        counts,
        math.prod(map(float, spacing)) / 1000,
        ignored,
    )


def measure(pair: Pair, codes: Iterable[int]) -> Measured:
    """One structure, which is one code or the union of several, of both maps of a pair."""
    chosen = sorted(set(codes))
    reference, prediction = (int(pair.counts.sum(axis=axis)[chosen].sum()) for axis in (1, 0))
    tp = int(pair.counts[np.ix_(chosen, chosen)].sum())
    # A table look-up is one pass over bytes, whatever the number of codes.
    table = np.isin(np.arange(CODES), chosen)
    g, p = (table[labels] if len(chosen) > 1 else labels == chosen[0] for labels in (pair.reference, pair.prediction))
    box = bounding_box(g | p)
    masks = g[box], p[box]
    borders = border(masks[0]), border(masks[1])
    distances: tuple[Distances | None, Distances | None] = None, None
    if reference and prediction:
        distances = between(*borders, pair.spacing)
    return Measured(
        _status(reference, prediction),
        tp,
        prediction - tp,
        reference - tp,
        pair.voxel_ml,
        *distances,
        pair.diagonal_mm,
        bool(reference or prediction) and _at_edge(box, pair),
        pair.ignored,
        masks,
        borders,
        pair.spacing,
    )


def bounding_box(foreground: Labels | Mask) -> Box:
    """The smallest box that holds everything that is not 0; empty where there is nothing."""
    sides = []
    for axis in range(foreground.ndim):
        others = tuple(k for k in range(foreground.ndim) if k != axis)
        hit = np.flatnonzero(np.bitwise_or.reduce(foreground, axis=others))
        sides.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
    return tuple(sides)


def _at_edge(box: Box, pair: Pair) -> bool:
    return any(
        side.start + start == 0 or side.stop + start == length
        for side, start, length in zip(box, pair.origin, pair.shape, strict=True)
    )


def _bytes(labels: npt.NDArray[np.generic]) -> Labels:
    if labels.dtype == np.uint8:
        return labels.view(np.uint8)
    whole = labels.astype(np.uint8)
    if not np.array_equal(whole, labels):
        raise BenchError("a label map holds values that are no integers of 0..255")
    return whole


def _codes(voxels: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(code) for code in np.flatnonzero(voxels) if code)


def _status(reference: int, prediction: int) -> Status:
    if reference and prediction:
        return "ok"
    return "missed" if reference else "false" if prediction else "both_empty"
