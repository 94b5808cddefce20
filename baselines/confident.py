"""Confident learning: which annotated voxels are probably labelled wrongly, judged by a network's probabilities.

Northcutt, Jiang and Chuang, JAIR 2021. Written for more voxels than fit into memory: cases are gone through twice, and
what is ranked is counted in bins of log-odds that are 0.002 wide.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from baselines.stages import Seen
from converters.dataset import IGNORE

BINS = 1 << 14
_EDGE = 16.0  # log-odds; beyond lies less than float32 can tell from 0 and 1

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Doubts:
    """Where ranks end, in bins.

    A voxel labelled i is doubted if its p_i lies below `self_confidence[i]` and, for some j, its p_j - p_i is at least
    `margin[i, j]`; never where i is the most probable class (not in the paper, but in cleanlab, its authors' code).
    """

    self_confidence: Counts  # (K,)
    margin: Counts  # (K, K); BINS where nothing is pruned

    def of(self, seen: Seen) -> npt.NDArray[np.bool_]:
        """The doubted voxels of a case. Shape: (X, Y, Z)."""
        found = np.zeros(seen.label.shape, bool)
        for label, p in _by_label(seen):
            unsure = _bins(p[label]) < self.self_confidence[label]
            few = p[:, unsure]  # all else is of the few that are left
            margins = _bins((1 + few - few[label]) / 2) >= self.margin[label][:, None]
            unsure[unsure] = margins.any(0) & (few.argmax(0) != label)
            found[seen.label == label] = unsure
        return found


def doubts(cases: Iterable[Seen]) -> Doubts:
    """Estimate the joint of given and true labels, and prune by class and by noise rate both (method "C+NR").

    `cases` is gone through twice. Section 3.1: a voxel labelled i counts for j if p_j is at least the mean of p_j over
    the voxels labelled j, the most probable such j where there are several (eq. 1); rows are scaled to the number of
    voxels with that label (eq. 3). Section 3.2: of the label i, the sum over j != i of the joint's [i, j] voxels
    with the lowest p_i; of each pair, [i, j] voxels with the largest p_j - p_i; doubted is what is in both.
    """
    census = _census(cases)
    joint = _calibrated(_confident_joint(cases, census.thresholds), census.voxels)
    wrong = census.voxels - joint.diagonal()
    classes = range(len(joint))
    return Doubts(
        # Below the bin of the next one in order, so that no more are pruned than are wrong.
        self_confidence=np.array([_smallest(census.confidence[i], wrong[i] + 1) for i in classes]),
        margin=np.array([[_largest(census.margin[i, j], joint[i, j] * (i != j)) for j in classes] for i in classes]),
    )


@dataclasses.dataclass(frozen=True)
class _Census:
    """What the first time through the cases counts, by given label i."""

    voxels: Counts  # (K,)
    sums: npt.NDArray[np.float64]  # (K,): of p_i
    confidence: Counts  # (K, BINS): of p_i
    margin: Counts  # (K, K, BINS): of p_j - p_i

    @property
    def thresholds(self) -> npt.NDArray[np.float64]:
        """Mean p_i; infinite where nothing is labelled i. Shape: (K,)."""
        return np.where(self.voxels, self.sums / np.maximum(self.voxels, 1), np.inf)


def _census(cases: Iterable[Seen]) -> _Census:
    found: _Census | None = None
    for seen in cases:
        if found is None:
            found = _nothing(len(_probabilities(seen)))
        for label, p in _by_label(seen):
            found.voxels[label] += p.shape[1]
            found.sums[label] += p[label].sum(dtype=np.float64)
            found.confidence[label] += _counted(p[label])
            for other in range(len(p)):
                found.margin[label, other] += _counted((1 + p[other] - p[label]) / 2)
    assert found is not None, "a view has cases"
    return found


def _nothing(classes: int) -> _Census:
    def zeros(*shape: int) -> Counts:
        return np.zeros(shape, np.int64)

    return _Census(zeros(classes), np.zeros(classes), zeros(classes, BINS), zeros(classes, classes, BINS))


def _confident_joint(cases: Iterable[Seen], thresholds: npt.NDArray[np.float64]) -> Counts:
    """How many voxels with given label i are surely of class j. Shape: (K, K)."""
    joint = np.zeros((len(thresholds), len(thresholds)), np.int64)
    least = (thresholds - 1e-6)[:, None]  # where all are equal, rounding must not put the mean above them
    for seen in cases:
        for label, p in _by_label(seen):
            sure = p >= least
            best = np.where(sure, p, -1).argmax(0)[sure.any(0)]
            joint[label] += np.bincount(best, minlength=len(p))
    return joint


def _calibrated(joint: Counts, voxels: Counts) -> Counts:
    """In numbers of voxels: each row sums to those with its label. A row in which nothing is sure is all right."""
    off = np.rint(joint * (voxels / np.maximum(joint.sum(1), 1))[:, None]).astype(np.int64)
    np.fill_diagonal(off, 0)
    calibrated: Counts = off + np.diag(voxels - off.sum(1))
    return calibrated


def _by_label(seen: Seen) -> Iterator[tuple[int, Floats]]:
    """Each label of a case and the probabilities of the voxels that have it, (K, n)."""
    probabilities = _probabilities(seen)
    for label in np.unique(seen.label[seen.label != IGNORE]):
        yield int(label), probabilities[:, seen.label == label]


def _probabilities(seen: Seen) -> Floats:
    assert seen.probabilities is not None, "the stage asks for predictions"
    return seen.probabilities


def _bins(p: Floats) -> npt.NDArray[np.int64]:
    """Bins of log-odds, in the order of p."""
    inside = np.clip(p, 1e-7, 1 - 1e-7)
    odds = np.clip(np.log(inside) - np.log1p(-inside), -_EDGE, _EDGE)
    bins: Counts = ((odds + _EDGE) * ((BINS - 1) / (2 * _EDGE))).astype(np.int64)
    return bins


def _counted(p: Floats) -> Counts:
    return np.bincount(_bins(p), minlength=BINS)


def _smallest(counted: Counts, rank: int) -> int:
    """The bin of the rank-th smallest, from 1; BINS where there are fewer."""
    return int(np.searchsorted(counted.cumsum(), rank))


def _largest(counted: Counts, rank: int) -> int:
    """The bin of the rank-th largest, from 1; BINS, which is none, for rank 0."""
    return BINS - 1 - int(np.searchsorted(counted[::-1].cumsum(), rank)) if rank else BINS
