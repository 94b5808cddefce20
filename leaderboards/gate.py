"""The arithmetic of the two gates: by how much a score may fall before it is a regression, and what a gate can see."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

import numpy as np

from converters.files import Strict
from leaderboards.statistics import LEVEL, mean, signed_rank

DELTA = 0.002  # Dice or NSD: what nobody would notice
CONFIDENCE = 0.99  # of the bound on the mean of new seeds
SEEDS = 5  # fewer references do not tell how far seeds lie apart
WORST = 0.1  # one patient who loses so much is no noise of rounding
_EXACT = 5  # patients who moved; with four, no signed-rank test falls below 0.5 ** 4 = 0.06
_SAME = 1e-9  # sums in another order


class Limits(Strict):
    """How strict a comparison is."""

    delta: float = DELTA
    seeds: int = SEEDS
    worst: float = WORST
    gate: Literal["auto", "paired", "retrained"] = "auto"


class Judgement(Strict):
    """What a gate says of one number. A drop is positive where the new value is worse."""

    drop: float
    limit: float
    p: float | None
    regressed: bool
    why: str


def paired(drops: Sequence[float], p: float, limits: Limits) -> Judgement:
    """The gate of a fixed checkpoint: drops of the same patients, without noise of training.

    Regressed where the mean drop exceeds delta, and either p < 0.05 or one patient alone has lost more than `worst`:
    of a fixed checkpoint a failure in two of twenty patients is no chance, whatever a test over patients says.

    Args:
        drops: for each patient, at least one.
        p: of `one_sided`, adjusted where it is one of several.
        limits: delta and worst.
    """
    fall, largest = statistics.fmean(drops), max(drops)
    regressed = fall > limits.delta and (p < LEVEL or largest > limits.worst)
    fell = sum(drop > _SAME for drop in drops)
    why = f"worse in {fell} of {len(drops)} patients, at most by {largest:.3f}" if fell else ""
    return Judgement(drop=fall, limit=limits.delta, p=p, regressed=regressed, why=why)


def one_sided(drops: Sequence[float]) -> float:
    """One-sided p of the drops, where the hypothesis is that there is none.

    Wilcoxon's signed-rank test (Pratt's zeros, exact); Student's paired t where fewer than five patients moved, which
    no signed-rank test could tell from chance. One patient alone tells nothing: 1.
    """
    moved = np.array([drop if abs(drop) > _SAME else 0.0 for drop in drops])
    if len(moved) < 2 or not moved.any():
        return 1.0
    if np.count_nonzero(moved) < _EXACT:
        estimate = mean(moved[:, None])
        return _upper(float(estimate.p()), bool(estimate.mean > 0))
    test = signed_rank(moved)
    return _upper(test.p, test.sign > 0)


def _upper(two_sided: float, worse: bool) -> float:
    return two_sided / 2 if worse else 1 - two_sided / 2


def retrained(references: Sequence[float], new: Sequence[float], limits: Limits) -> Judgement:
    """The gate of a method that was trained again: means of the seeds of both sides.

    Regressed where mean(new) < mean(references) - max(delta, t(0.99, n0 - 1) s sqrt(1/n0 + 1/n1)), with s the standard
    deviation of the n0 references: the bound of a t interval for the mean of n1 further seeds.

    Raises:
        ValueError: fewer than two references, or no new seed.
    """
    drop = statistics.fmean(references) - statistics.fmean(new)
    limit = tolerance(references, len(new), limits.delta)
    why = f"seeds lie {statistics.stdev(references):.4f} apart (SD of {len(references)}), {len(new)} new"
    return Judgement(drop=drop, limit=limit, p=None, regressed=drop > limit, why=why)


def tolerance(references: Sequence[float], new: int, delta: float = DELTA) -> float:
    """By how much the mean of so many new seeds may lie below the mean of the references."""
    return max(delta, factor(len(references), new) * statistics.stdev(references))


def factor(references: int, new: int) -> float:
    """t(0.99, n0 - 1) sqrt(1/n0 + 1/n1): 4.10 for five references and one new seed, 2.74 for five and three."""
    from scipy.special import stdtrit

    return float(stdtrit(references - 1, CONFIDENCE)) * math.sqrt(1 / references + 1 / new)
