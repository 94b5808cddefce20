"""Ramps: weights and shares that change through training. `progress` runs from 0 to 1; so do `start` and `end`."""

import math


def between(progress: float, start: float, end: float) -> float:
    """Linear: 0 up to `start`, 1 from `end` on."""
    return min(max((progress - start) / (end - start), 0.0), 1.0)


def ramp_up(progress: float, start: float = 0.0, end: float = 1.0) -> float:
    """Sigmoid exp(-5 (1 - t)^2), t from 0 at `start` to 1 at `end`: 0 before, then from 0.0067 to 1.

    Laine and Aila, ICLR 2017; one that starts late as in PyMIC.
    """
    return 0.0 if progress < start else math.exp(-5 * (1 - between(progress, start, end)) ** 2)
