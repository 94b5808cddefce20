"""What one score must keep: its counts, the values that follow from them, and what a value can be."""

import math
import re
import sys
from functools import lru_cache

from leaderboards.record import CaseScore
from leaderboards.summary import DISTANCES, bounds, family

ROUNDING = 1e-9
_DEFINITION = re.compile(r"[a-z0-9_.]+(@\d+(\.\d+)?(e[+-]?\d+)?mm)?(:[a-z0-9-]+)*:v\d+")
_LARGEST = sys.float_info.max
_MOST = 1 << 53  # voxels: beyond, no float64 is exact


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
    """Definition id -> name and value, for what follows from the counts alone."""
    tp, fp, fn = score.tp, score.fp, score.fn
    some, reference = tp + fp + fn, tp + fn
    empty = score.status == "both_empty"
    signed = 100 * (fp - fn) / reference if reference else -100.0 if score.status == "invalid" else None
    found: dict[str, tuple[str, float | None]] = {
        "dice:v1": ("Dice", None if empty else 2 * tp / max(1, tp + some)),
        "iou:v1": ("IoU", None if empty else tp / max(1, some)),
        "rvd:v1": ("RVD", signed),
        "ravd:v1": ("RAVD", None if signed is None else abs(signed)),
    }
    if score.status == "ok":
        found["precision:v1"] = ("precision", tp / (tp + fp))
        found["sensitivity:v1"] = ("sensitivity", tp / reference)
    return found


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
