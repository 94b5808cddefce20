"""Statistics of scores by patient and seed: pure functions of arrays. Formulas: docs/metrics.md, Statistics.

A score array is (..., patients, seeds), float64; leading axes are so many tables at once. Higher is better.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LEVEL = 0.05
RESAMPLES = 10_000
_EXACT = 200  # patients up to which the null distribution of the signed ranks is counted out
_FEW = 10  # seeds below which a bootstrap of them is too narrow
_AT_ONCE = 100_000  # differences held at a time: pairs of methods times resamples grow with the square of methods
_DIGITS = 12  # values that differ by less are ties


class Estimate(NamedTuple):
    """A mean or a difference of means, one value per table."""

    mean: Array
    error: Array  # standard error
    df: Array  # Satterthwaite; infinite where nothing varies

    def bounds(self) -> tuple[Array, Array]:
        """The 95 % interval."""
        from scipy.special import stdtrit

        half = stdtrit(self.df, 1 - LEVEL / 2) * self.error
        return self.mean - half, self.mean + half

    def p(self) -> Array:
        """Two-sided, of the mean being 0: 1 for exactly 0, also where nothing varies."""
        from scipy.special import stdtr

        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(self.mean == 0, 0.0, np.abs(self.mean) / self.error)
        return np.asarray(2 * stdtr(self.df, -t))


def freedom(df: float) -> float | None:
    """Degrees of freedom as they are written: None where nothing varies."""
    return df if math.isfinite(df) else None


def mean(scores: Array) -> Estimate:
    """Mean of one method: SE² = s²_patients / C + s²_seeds / S; of a single seed, the patients' part alone."""
    parts = [(scores.mean(-1), scores.shape[-2])]
    parts += [(scores.mean(-2), scores.shape[-1])] if scores.shape[-1] > 1 else []
    return _estimate(scores.mean((-2, -1)), parts)


def difference(a: Array, b: Array) -> Estimate:
    """Mean of a minus mean of b, patients shared and seeds not: SE² = s²_d / C + s²_a / S_a + s²_b / S_b.

    A single seed has no variance to add: the error is then too small, and no ground for a test.
    """
    paired = a.mean(-1) - b.mean(-1)
    parts = [(paired, paired.shape[-1])]
    parts += [(scores.mean(-2), scores.shape[-1]) for scores in (a, b) if scores.shape[-1] > 1]
    return _estimate(paired.mean(-1), parts)


def _estimate(centre: Array, parts: Sequence[tuple[Array, int]]) -> Estimate:
    squares = [values.var(-1, ddof=1) / n for values, n in parts]
    total = np.asarray(sum(squares))
    weighted = np.asarray(sum(square**2 / (n - 1) for square, (_, n) in zip(squares, parts, strict=True)))
    df = np.divide(total**2, weighted, out=np.full_like(total, math.inf), where=weighted > 0)
    return Estimate(centre, np.sqrt(total), df)


class SignedRank(NamedTuple):
    """Wilcoxon's signed-rank test of one pair."""

    p: float  # two-sided
    sign: int  # which side has the larger sum of ranks


def signed_rank(differences: Array) -> SignedRank:
    """Wilcoxon's test, zeros ranked and then dropped (Pratt 1959); exact with ties and zeros up to 200 patients.

    Exact because the normal approximation calls five positive differences among fifteen zeros p = 0.026, where no
    arrangement of signs can fall below 0.0625.
    """
    sizes = ranks(np.abs(differences))
    told = np.round(differences, _DIGITS)
    doubled = np.rint(2 * sizes).astype(int)
    positive, negative = int(doubled[told > 0].sum()), int(doubled[told < 0].sum())
    sign = (positive > negative) - (positive < negative)
    less = min(positive, negative)
    told_ranks = tuple(sorted(doubled[told != 0].tolist()))
    if len(told) <= _EXACT:
        return SignedRank(min(1.0, 2 * float(_cumulative(told_ranks)[less])), sign)
    spread = math.sqrt(sum(rank**2 for rank in told_ranks))
    z = (positive - negative) / spread if spread else 0.0
    return SignedRank(math.erfc(abs(z) / math.sqrt(2)), sign)


@lru_cache(maxsize=64)
def _cumulative(ranks: tuple[int, ...]) -> Array:
    """P(sum of the ranks with a plus ≤ k) for k = 0, 1 ..., every sign a fair coin."""
    chance = np.zeros(sum(ranks) + 1)
    chance[0] = 1.0
    for rank in ranks:
        shifted = np.concatenate([np.zeros(rank), chance[: chance.size - rank]])
        chance = (chance + shifted) / 2
    return np.asarray(np.cumsum(chance))


def claimed(wilcoxon: SignedRank, two_way: float | None, gap: float) -> int:
    """1 or -1: which side is better by both tests and by its mean, of which `gap` is the difference; 0: neither.

    The p of `wilcoxon` is the adjusted one. Without a two-way test, for want of seeds, nothing is claimed.
    """
    if two_way is None or max(wilcoxon.p, two_way) >= LEVEL:
        return 0
    return wilcoxon.sign if wilcoxon.sign * gap > 0 else 0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjustment (1979): the smallest p times m, the next times m - 1 ..., never falling, at most 1."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    steps = np.maximum.accumulate((len(values) - np.arange(len(values))) * values[order])
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(steps, 1.0)
    return [float(value) for value in adjusted]


def smallest(pairs: int) -> int:
    """The number of patients from which the exact signed-rank test can fall below 0.05 / pairs: 2^(1 - n) is less."""
    return next(n for n in range(1, 1100) if 2.0 ** (1 - n) < LEVEL / pairs)


def chance(a: Array, b: Array) -> float:
    """P(a > b) over patients and pairs of seeds, a tie counts half."""
    gap = np.round(a[:, :, None] - b[:, None, :], _DIGITS)
    return float((gap > 0).mean() + (gap == 0).mean() / 2)


def ranks(values: Array, *, method: str = "average") -> Array:
    """Ranks along the last axis, smallest first, from 1; ties get the mean of their ranks, or the lowest ("min")."""
    told = np.ascontiguousarray(np.moveaxis(np.round(values, _DIGITS), -1, 0))  # adding up long rows is quick
    found = (told[:, None] < told).sum(0) + 1.0
    if method != "min":
        found += ((told[:, None] == told).sum(0) - 1) / 2
    return np.ascontiguousarray(np.moveaxis(found, 0, -1))


def bootstrap(methods: Sequence[Array], seed: int, resamples: int = RESAMPLES) -> Array:
    """Means of each method in each resample, (resamples, methods): patients drawn once for all, seeds within each.

    Below ten seeds their deviations grow by sqrt(S / (S - 1)), which a draw of S from S loses.
    """
    patients, *seeds = _drawn(seed, (methods[0].shape[0], *(scores.shape[1] for scores in methods)), resamples)
    found = [(patients @ widened(scores) * drawn).sum(1) for scores, drawn in zip(methods, seeds, strict=True)]
    return np.stack(found, axis=1)


@lru_cache(1)
def _drawn(seed: int, counts: tuple[int, ...], resamples: int) -> list[Array]:
    """As `draws`, one after the other; kept, for the metrics of a section and the sections of a split share them."""
    random = np.random.default_rng(seed)
    return [draws(random, count, resamples) for count in counts]


def widened(scores: Array) -> Array:
    """Scores whose seeds, where few, lie further from their mean: what `bootstrap` draws from."""
    count = scores.shape[-1]
    if not 1 < count < _FEW:
        return scores
    centre = scores.mean(-1, keepdims=True)
    return np.asarray(centre + math.sqrt(count / (count - 1)) * (scores - centre))


def draws(random: np.random.Generator, count: int, resamples: int) -> Array:
    """Weights, (resamples, count), of drawing count from count with replacement; each row adds up to 1."""
    # Only random(): its stream is what NumPy keeps from version to version.
    chosen = (random.random((resamples, count)) * count).astype(np.int64)
    cells = chosen + count * np.arange(resamples)[:, None]
    return np.bincount(cells.ravel(), minlength=resamples * count).reshape(resamples, count) / count


class Ranking(NamedTuple):
    """Mean-then-rank of methods, with what the bootstrap says about it."""

    rank: list[int]
    low: list[int]  # 95 %
    high: list[int]
    first: list[float]  # P(rank 1)
    stability: float | None  # mean Kendall tau-b of the resamples to the full ranking; None where all are tied


def ranking(means: Array, resampled: Array) -> Ranking:
    """From means (methods,) and those of the bootstrap (resamples, methods); the largest has rank 1."""
    full = ranks(-means, method="min")
    drawn = np.concatenate([ranks(-part, method="min") for part in np.array_split(resampled, 20)])
    low, high = percentiles(drawn)
    return Ranking(
        [int(rank) for rank in full],
        [int(rank) for rank in low],
        [int(rank) for rank in high],
        [float(share) for share in (drawn == 1).mean(0)],
        _stability(full, drawn),
    )


def percentiles(drawn: Array) -> tuple[Array, Array]:
    """95 % percentile interval over resamples (resamples, methods), of values that were drawn."""
    low, high = np.quantile(drawn, (LEVEL / 2, 1 - LEVEL / 2), axis=0, method="inverted_cdf")
    return low, high


def _stability(full: Array, drawn: Array) -> float | None:
    first, second = np.triu_indices(len(full), 1)
    wanted = np.sign(full[first] - full[second])
    if not wanted.any():
        return None
    agreement, told = np.zeros((2, len(drawn)))
    for some in np.array_split(np.arange(len(drawn)), 1 + drawn.size * len(drawn[0]) // _AT_ONCE):
        by_method = np.ascontiguousarray(drawn[some].T)
        found = np.sign(by_method[first] - by_method[second])
        agreement[some], told[some] = wanted @ found, np.abs(found).sum(0)
    scale = np.sqrt(np.count_nonzero(wanted) * told)
    return float(np.divide(agreement, scale, out=np.zeros(len(drawn)), where=scale > 0).mean())
