"""Where the crop of a sample lies, decided in numbers alone, and the crop itself."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from baselines.cache import Extent, Prepared
from baselines.config import TrainConfig
from converters.dataset import IGNORE

Number = TypeVar("Number", np.float16, np.uint8)


class Place(NamedTuple):
    """Where a sample lies in its case: its slice, 0 where it is a volume, and its first voxel along each patch axis.

    The first voxel is negative along an axis that is shorter than the patch: there the sample is padded.
    """

    slice: int
    start: tuple[int, ...]


def place(case: Prepared, z: int, config: TrainConfig, rng: np.random.Generator) -> Place:
    """The crop of slice z, or of the whole case in 3D: anywhere, or centred on an annotated foreground voxel.

    By class, a structure is drawn among those annotated in the case, then a voxel of it in the case: a sample that is a
    slice moves to the slice of that voxel, one that is cropped has it in its centre (nnU-Net's rule).
    """
    ndim = len(config.patch)
    shape = case.target.shape[-ndim:]
    by_class = config.foreground_by == "class"
    if shape == config.patch and not by_class:
        return Place(z, (0,) * ndim)
    spare = [size - edge for size, edge in zip(shape, config.patch, strict=True)]
    start = [int(rng.integers(0, s + 1)) if s > 0 else s // 2 for s in spare]
    unlabelled = ndim == 2 and case.extent[z] == Extent.NONE  # drawn as such: it does not move to a labelled slice
    if rng.random() >= config.foreground or unlabelled:
        return Place(z, tuple(start))
    found = _centre_by_class(case, rng) if by_class else _centre(case, z, ndim, rng)
    if found is None:
        return Place(z, tuple(start))
    start = [
        int(np.clip(c - edge // 2, 0, s)) if s > 0 else s // 2
        for c, edge, s in zip(found[-ndim:], config.patch, spare, strict=True)
    ]
    return Place(z if ndim == 3 else found[0], tuple(start))


def _centre(case: Prepared, z: int, ndim: int, rng: np.random.Generator) -> tuple[int, ...] | None:
    """An annotated foreground voxel of the sample."""
    first, last = 0, len(case.foreground)
    if ndim == 2:
        area = case.target[0].size
        # Numbers of the array's own type: with others numpy would copy the array to find its way in it.
        first, last = np.searchsorted(case.foreground, np.array([z * area, (z + 1) * area], case.foreground.dtype))
    if first == last:
        return None
    return _voxel(case, int(case.foreground[first + rng.integers(last - first)]))


def _centre_by_class(case: Prepared, rng: np.random.Generator) -> tuple[int, ...] | None:
    """A voxel of a structure that is drawn first, each alike among those annotated in the case."""
    if not case.structures:
        return None
    voxels = case.structures[int(rng.integers(len(case.structures)))]
    return _voxel(case, int(voxels[rng.integers(len(voxels))]))


def _voxel(case: Prepared, flat: int) -> tuple[int, ...]:
    return tuple(int(index) for index in np.unravel_index(flat, case.target.shape))


def taken(case: Prepared, at: Place, patch: Sequence[int]) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]:
    """Image (C, *patch) and target (*patch) of a sample: views of the case, or padded copies."""
    image, target = case.image, case.target
    if len(patch) == 2:
        image, target = image[:, at.slice], target[at.slice]
    return cut(image, at.start, patch, None), cut(target[None], at.start, patch, IGNORE)[0]


def cut(
    array: npt.NDArray[Number], start: Sequence[int], patch: Sequence[int], fill: int | None
) -> npt.NDArray[Number]:
    """The crop of the axes after the first; outside the array the edge value, or `fill`."""
    if array.shape[1:] == tuple(patch):
        return array
    inner, pad = [slice(None)], [(0, 0)]
    for first, edge, size in zip(start, patch, array.shape[1:], strict=True):
        stop = first + edge
        inner.append(slice(max(first, 0), min(stop, size)))
        pad.append((max(-first, 0), max(stop - size, 0)))
    inside = array[tuple(inner)]
    if not any(map(any, pad)):
        return inside
    return np.pad(inside, pad, mode="edge") if fill is None else np.pad(inside, pad, constant_values=fill)
