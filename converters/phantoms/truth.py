"""What must stand where after a conversion: voxels of a made-up case, noted as it is drawn, before any file exists."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from converters.phantoms.scan import generator

LABEL = "label"
_CODES = 40  # more values than this: an image


class Probe(NamedTuple):
    """One voxel of one case: where it lies in the world and what it holds, in the units and codes of the output."""

    dataset: str  # without `phantom-`
    case: str  # native id
    part: str  # channel, LABEL, or annotation set
    point: tuple[float, float, float]  # RAS mm
    value: float


def probes(
    of: tuple[str, str, str], array: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], count: int = 12
) -> Iterator[Probe]:
    """Voxels of every value of a label map, or any voxels of an image: `count` of each.

    Args:
        of: dataset, native id, part.
        array: (X, Y, Z), in any orientation.
        affine: (4, 4), voxel index -> RAS mm.
        count: how many.
    """
    rng = generator(0, *of)
    flat = array.ravel()
    values = np.unique(flat)
    pools = [np.flatnonzero(flat == v) for v in values] if values.size <= _CODES else [np.arange(flat.size)]
    for pool in pools:
        for index in rng.choice(pool, size=min(count, pool.size), replace=False):
            at = np.unravel_index(int(index), array.shape)
            x, y, z = (affine @ np.array([*map(int, at), 1.0]))[:3].tolist()
            yield Probe(*of, (x, y, z), float(flat[index]))
