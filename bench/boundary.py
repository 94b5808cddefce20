"""The rim of a structure: its voxels near its own outline, for boundary IoU."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.distances import Mask

OFFSETS = 20_000  # more are slower than a distance transform: voxels of less than a tenth of the depth


class Rims(NamedTuple):
    """Voxels of the rims of a reference and a prediction."""

    reference: int
    prediction: int
    both: int


def rims(masks: tuple[Mask, Mask], borders: tuple[Mask, Mask], spacing: Sequence[float], depth: float) -> Rims:
    """Count the rims of two masks on one grid, and what they share."""
    g, p = (rim(mask, border, spacing, depth) for mask, border in zip(masks, borders, strict=True))
    return Rims(int(np.count_nonzero(g)), int(np.count_nonzero(p)), int(np.count_nonzero(g & p)))


def rim(mask: Mask, border: Mask, spacing: Sequence[float], depth: float) -> Mask:
    """Voxels of the mask within a depth in mm of its border voxels, centre to centre.

    Cheng et al., CVPR 2021, with mm for their share of the image diagonal. Each border voxel is stamped with all
    offsets within the depth: a surface is few voxels, and a distance transform, taken for tiny voxels, visits them all.
    """
    # Beyond the far end there is nothing to stamp.
    reaches = [min(int(depth // s), max(0, n - 1)) for n, s in zip(mask.shape, spacing, strict=True)]
    if math.prod(2 * reach + 1 for reach in reaches) > OFFSETS:
        from scipy.ndimage import distance_transform_edt

        near: Mask = distance_transform_edt(~border, sampling=spacing) <= depth
        return mask & near
    offsets = [
        offset
        for offset in itertools.product(*(range(-reach, reach + 1) for reach in reaches))
        if math.sqrt(sum((n * s) ** 2 for n, s in zip(offset, spacing, strict=True))) <= depth
    ]
    stamped = np.zeros([n + 2 * reach for n, reach in zip(mask.shape, reaches, strict=True)], dtype=bool)
    inside = tuple(slice(reach, reach + n) for n, reach in zip(mask.shape, reaches, strict=True))
    at = np.flatnonzero(np.pad(border, [(reach, reach) for reach in reaches]))
    flat = stamped.ravel()
    for offset in offsets:
        flat[at + sum(n * stride for n, stride in zip(offset, stamped.strides, strict=True))] = True
    return mask & stamped[inside]
