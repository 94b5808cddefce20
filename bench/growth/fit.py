"""How a cost grows: the exponent over the last two doublings, with and without a constant."""

import math
from collections.abc import Sequence

LAST = 3  # points: two doublings, where a constant matters least


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """K of cost = b x^k, by least squares of the logarithms over the last three points; None where one is not positive.

    A constant part of the cost makes it too small.
    """
    points = list(zip(sizes, costs, strict=True))[-LAST:]
    if len(points) < 2 or min(cost for _, cost in points) <= 0:
        return None
    logs = [(math.log(size), math.log(cost)) for size, cost in points]
    x, y = (math.fsum(values) / len(logs) for values in zip(*logs, strict=True))
    return math.fsum((a - x) * (b - y) for a, b in logs) / math.fsum((a - x) ** 2 for a, _ in logs)


def beyond(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """K of cost = a + b x^k through the first, the middle and the last point; None where the cost does not rise.

    The sizes must be a geometric series of an odd number of terms, as 1, 2, 4, 8, 16: then k has a closed form.
    """
    if len(sizes) < 3 or len(sizes) % 2 == 0:
        return None
    low, middle, high = costs[0], costs[len(costs) // 2], costs[-1]
    if not low < middle < high:
        return None
    return math.log((high - middle) / (middle - low)) / math.log(sizes[len(sizes) // 2] / sizes[0])
