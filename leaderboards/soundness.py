"""What one score must keep: its counts, the values that follow from them, and what a value can be."""

import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboards.exact import Array
from leaderboards.record import CaseScore
from leaderboards.summary import DISTANCES, bounds, family

ROUNDING = 1e-9
_DEFINITION = re.compile(r"[a-z0-9_.]+(@\d+(\.\d+)?(e[+-]?\d+)?mm)?(:[a-z0-9-]+)*:v\d+")
_LARGEST = sys.float_info.max
Flags = NDArray[np.bool_]

_MOST = 1 << 53  # voxels: beyond, no float64 is exact
_PLAIN = ROUNDING / 10  # how close what is not even looked at must be
_GIVEN: dict[str, tuple[str, Callable[[Any, Any, Any], Any]]] = {  # by the counts where both sides hold something
    "dice:v1": ("Dice", lambda tp, fp, fn: 2 * tp / (2 * tp + fp + fn)),
    "iou:v1": ("IoU", lambda tp, fp, fn: tp / (tp + fp + fn)),
    "rvd:v1": ("RVD", lambda tp, fp, fn: 100 * (fp - fn) / (tp + fn)),
    "ravd:v1": ("RAVD", lambda tp, fp, fn: abs(100 * (fp - fn) / (tp + fn))),
    "precision:v1": ("precision", lambda tp, fp, fn: tp / (tp + fp)),
    "sensitivity:v1": ("sensitivity", lambda tp, fp, fn: tp / (tp + fn)),
}
VOLUMES: dict[str, Callable[[Any, Any, Any], Any]] = {  # voxels of each
    "volume_reference_ml:v1": lambda tp, fp, fn: tp + fn,
    "volume_prediction_ml:v1": lambda tp, fp, fn: tp + fp,
    "volume_false_ml:v1": lambda tp, fp, fn: fp,
    "volume_error_ml:v1": lambda tp, fp, fn: fp - fn,
    "volume_abs_error_ml:v1": lambda tp, fp, fn: abs(fp - fn),
}


def unsound(score: CaseScore) -> str | None:
    """How counts and status of a score do not fit; None where they do."""
    tp, fp, fn = score.tp, score.fp, score.fn
    if not 0 <= min(tp, fp, fn, score.ignored) <= max(tp, fp, fn, score.ignored) <= _MOST or not score.diagonal_mm > 0:
        return "a count that no image has, or no image diagonal"
    fits = {
        "ok": tp + fp > 0 and tp + fn > 0,
        "both_empty": tp + fp + fn == 0,
        "missed": tp + fp == 0 and fn > 0,
        "false": tp + fn == 0 and fp > 0,
        "invalid": tp + fp == 0,
    }
    return None if fits[score.status] else f"status '{score.status}' does not fit tp {tp}, fp {fp}, fn {fn}"


def miscounted(score: CaseScore) -> str | None:
    """Which value is not what the counts give; for counts that are sound."""
    for definition, (name, expected) in _expected(score).items():
        value = score.metrics.get(definition, expected)
        if value is None and (score.status != "ok" or expected is None):
            continue
        if value is None or expected is None or not math.isclose(value, expected, rel_tol=ROUNDING, abs_tol=ROUNDING):
            return f"{name} {_six(value)} is not {_six(expected)}, which its counts give"
    return None


def _expected(score: CaseScore) -> dict[str, tuple[str, float | None]]:
    """Definition id -> name and value, for what follows from the counts alone; for counts that fit the status."""
    if score.status == "ok":
        return {d: (name, given(score.tp, score.fp, score.fn)) for d, (name, given) in _GIVEN.items()}
    overlap = None if score.status == "both_empty" else 0.0
    signed = -100.0 if score.status in {"missed", "invalid"} else None
    values = {"dice:v1": overlap, "iou:v1": overlap, "rvd:v1": signed, "ravd:v1": signed and abs(signed)}
    return {definition: (_GIVEN[definition][0], value) for definition, value in values.items()}


def unsaid(score: CaseScore, wanted: set[str]) -> str | None:
    """Which of the wanted definitions has no value that it should have."""
    if lacking := sorted(wanted - score.metrics.keys()):
        return f"{', '.join(lacking)} is not there"
    if score.status != "ok":
        return None
    unknown = sorted(d for d in wanted if score.metrics[d] is None and family(d) in DISTANCES | {"nsd"})
    return f"no value of {', '.join(unknown)}" if unknown else None


def _six(value: float | None) -> str:
    return "none" if value is None else f"{value:.6f}"


def out_of_range(score: CaseScore) -> str | None:
    """Which value, or id, no metric can have."""
    for definition, value in score.metrics.items():
        allowed = _allowed(definition)
        if allowed is None:
            return f"{definition!r} is no id of a definition"
        low, high = allowed
        if value is not None and not low <= value <= (high or score.diagonal_mm * (1 + ROUNDING)):
            return f"{definition} is {value}"
    return None


@lru_cache(4096)
def _allowed(definition: str) -> tuple[float, float | None] | None:
    """The least and the most, None for the image diagonal; both finite. None for what is no definition."""
    if not _DEFINITION.fullmatch(definition):
        return None
    low, high = (min(max(bound, -_LARGEST), _LARGEST) for bound in bounds(definition))
    return low, None if family(definition) in DISTANCES else high * (1 + ROUNDING) if high < _LARGEST else high


def doubtful(scores: Sequence[CaseScore]) -> list[CaseScore]:
    """Those that may break a rule: what remains is sound, counted, in range, said, and of one voxel size in a case.

    A sieve over all at once, many times quicker than to ask each: what is not plainly right stays in it.
    """
    told = {tuple(score.metrics) for score in scores}
    allowed = _limits(*told) if len(told) == 1 else None
    try:
        counts = np.array([(s.tp, s.fp, s.fn, s.ignored, s.diagonal_mm) for s in scores], float).T
        values = np.array([*chain.from_iterable(score.metrics.values() for score in scores)], float)  # None is NaN
    except OverflowError:
        return list(scores)
    if allowed is None:
        return list(scores)
    by_definition = dict(zip(*told, values.reshape(len(scores), -1).T, strict=True))
    with np.errstate(all="ignore"):
        plain = _plain_counts(counts) & _plain_values(by_definition, counts, allowed)
        plain &= _plain_volumes(by_definition, counts, [score.case for score in scores])
    plain &= [score.status == "ok" for score in scores]
    return [score for score, fine in zip(scores, plain.tolist(), strict=True) if not fine]


@lru_cache(256)
def _limits(definitions: tuple[str, ...]) -> tuple[Array, Array] | None:
    """The least and the most of each, (definitions, 1), NaN for the diagonal; None where one is no definition."""
    known = [allowed for definition in definitions if (allowed := _allowed(definition))]
    if not known or len(known) < len(definitions):
        return None
    low, high = np.array(known, float).reshape(-1, 2).T[..., None]
    return low, high


def _plain_counts(counts: Array) -> Flags:
    tp, fp, fn, _, diagonal = counts
    whole = counts[:4]
    plain = (whole >= 0).all(0) & (whole < _MOST).all(0) & (diagonal > 0) & (tp + fp > 0) & (tp + fn > 0)
    return np.asarray(plain)


def _plain_values(found: Mapping[str, Array], counts: Array, allowed: tuple[Array, Array]) -> Flags:
    low, high = allowed
    every = np.stack([*found.values()])
    plain = ((low <= every) & (every <= np.where(np.isnan(high), counts[4] * (1 + ROUNDING), high))).all(0)
    for definition, (_, given) in _GIVEN.items():
        if definition in found:
            plain &= np.abs(found[definition] - given(*counts[:3])) <= _PLAIN
    return np.asarray(plain)


def _plain_volumes(found: Mapping[str, Array], counts: Array, cases: Sequence[str]) -> Flags:
    told = {definition: voxels(*counts[:3]) for definition, voxels in VOLUMES.items() if definition in found}
    if not told:
        return np.ones(len(cases), bool)
    definition, voxels = next(iter(told.items()))
    sizes = found[definition] / voxels
    first: dict[str, float] = {}
    size = np.array([first.setdefault(case, each) for case, each in zip(cases, sizes.tolist(), strict=True)])
    off = [np.abs(found[d] - voxels * size) <= _PLAIN * np.abs(found[d]) for d, voxels in told.items()]
    return np.asarray(np.all(off, axis=0))
