"""Means, quartiles and spreads of many columns at once, rounded once each: no order of adding changes the last bit."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_BITS = 2 * 53 + 3  # of the square that a correctly rounded root is taken of


def mean(values: Array) -> Array:
    """Over the first axis, of what is not NaN; NaN where nothing is. As statistics.fmean, to the last bit."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(total(np.where(there, values, 0.0)) / there.sum(0))


def total(values: Array) -> Array:
    """Sum over the first axis, rounded once: math.fsum of each column.

    Raises:
        OverflowError: as math.fsum.
    """
    flat = values.reshape(len(values), math.prod(values.shape[1:]))
    with np.errstate(over="ignore", invalid="ignore"):
        sums, lost = _folded(flat)
        rest, further = _folded(lost)
        found = sums + rest
    # Mostly what was lost adds up without losing anything more.
    for i in np.flatnonzero(further.any(0) | ~np.isfinite(found)):
        found[i] = math.fsum(flat[:, i])
    return found.reshape(values.shape[1:])


def _folded(values: Array) -> tuple[Array, Array]:
    """The sum over the first axis, each addition rounded, and what each of them lost (two-sum, Knuth 1969)."""
    lost = [values[:0]]
    while len(values) > 1:
        half = len(values) // 2
        a, b, odd = values[:half], values[half : 2 * half], values[2 * half :]
        both = a + b
        back = both - a
        lost.append((a - (both - back)) + (b - back))
        values = np.concatenate([both, odd])
    return values.sum(0), np.concatenate(lost)


def quartiles(values: Array) -> Array:
    """(3, ...): over the first axis, of what is not NaN, linear interpolation as NumPy's default; NaN where nothing is.

    As statistics.quantiles, to the last bit.
    """
    told = np.sort(values, axis=0)  # NaN comes last
    last = (~np.isnan(values)).sum(0) - 1
    found = []
    for i in (1, 2, 3):
        place, part = np.divmod(i * last, 4)
        low, high = (np.take_along_axis(told, j[None], 0)[0] for j in (place, np.minimum(place + 1, last)))
        found.append((low * (4 - part) + high * part) / 4)
    return np.stack(found)


def spread(values: Sequence[float]) -> float:
    """As statistics.stdev, to the last bit: whole numbers are as exact as its fractions and a tenth of the work."""
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(bottom for _, bottom in ratios)  # powers of two
    whole = [top * (scale // bottom) for top, bottom in ratios]
    n, all_ = len(whole), sum(whole)
    return _root(n * sum(value * value for value in whole) - all_ * all_, n * (n - 1) * scale * scale)


def _root(top: int, bottom: int) -> float:
    """The square root of top / bottom, rounded once: to odd with bits to spare, then to the nearest float."""
    shift = (top.bit_length() - bottom.bit_length() - _BITS) // 2
    top, bottom = (top, bottom << 2 * shift) if shift >= 0 else (top << -2 * shift, bottom)
    root = math.isqrt(top // bottom)
    root |= root * root * bottom != top
    return float(root << shift) if shift >= 0 else root / (1 << -shift)
