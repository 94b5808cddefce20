"""How large the made-up data of a point are, and how an axis makes them larger."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from converters.files import Strict

Axis = Literal["cases", "volume", "classes", "batch", "patch", "records"]
FACTORS = (1, 2, 4, 8, 16)


class Size(Strict):
    """What a stage is given. Volumes are (X, Y, Z) voxels; classes leave the background out."""

    cases: int = 2
    volume: tuple[int, ...] = (64, 64, 8)
    classes: int = 3
    batch: int = 4
    patch: tuple[int, ...] = (64, 64)
    records: int = 20


SMALLEST = Size(cases=1, volume=(24, 20, 4), classes=1, batch=2, patch=(16, 16), records=5)


def larger(base: Size, axis: Axis, factor: int) -> Size:
    """The size with one axis `factor` (a power of two) times as large; edges of volumes double in turn, last first."""
    value = getattr(base, axis)
    return msgspec.structs.replace(
        base, **{axis: _edges(value, factor) if isinstance(value, tuple) else value * factor}
    )


def amount(size: Size, axis: Axis) -> int:
    """The axis as one number: voxels, where it has edges."""
    value = getattr(size, axis)
    if isinstance(value, int):
        return value
    product = 1
    for edge in value:
        product *= edge
    return product


def _edges(edges: Sequence[int], factor: int) -> tuple[int, ...]:
    grown = list(edges)
    for turn in range(factor.bit_length() - 1):
        grown[-1 - turn % len(grown)] *= 2
    return tuple(grown)
