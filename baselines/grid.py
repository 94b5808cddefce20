"""Between a case's grid and the network's: which size, and one linear (or nearest) resampling for both ways.

Network axes are (slice axis, then the other two in RAS order): a slice is contiguous and first.
Voxel centres map as (i + 0.5) * scale - 0.5, so the field of view is kept; shrinking is anti-aliased.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor

from baselines.config import TrainConfig
from converters.dataset import IGNORE, Case, Geometry

Intensity = Literal["window", "zscore", "range"]
_NORMALS = {"sagittal": 0, "coronal": 1, "axial": 2}  # axes of the uniform format, which are RAS+


def faced(case: Case, config: TrainConfig) -> Case:
    """The case as if it had been stacked across the plane that training asks for; not a voxel changes."""
    if config.plane == "stack":
        return case
    geometry = msgspec.structs.replace(case.geometry, slice_axis=_NORMALS[config.plane])
    return msgspec.structs.replace(case, geometry=geometry)


def network_axes(geometry: Geometry) -> tuple[int, int, int]:
    """The case's array axes in network order."""
    first = geometry.slice_axis
    second, third = (axis for axis in range(3) if axis != first)
    return first, second, third


def network_spacing(geometry: Geometry) -> tuple[float, float, float]:
    """Spacing in mm in network order."""
    first, second, third = (geometry.spacing_mm[axis] for axis in network_axes(geometry))
    return first, second, third


def network_size(geometry: Geometry, config: TrainConfig) -> tuple[int, int, int]:
    """The case's shape on the network's grid: (slices, height, width). A 2D network keeps every slice."""
    shape = [geometry.shape[axis] for axis in network_axes(geometry)]
    spacing = network_spacing(geometry)
    for axis, wanted in zip(range(3 - len(config.patch), 3), range(len(config.patch)), strict=True):
        if config.grid == "resize":
            shape[axis] = config.patch[wanted]
        elif config.grid != "native":
            shape[axis] = max(1, round(shape[axis] * spacing[axis] / float(config.grid[wanted])))
    return shape[0], shape[1], shape[2]


def typical_spacing(geometries: Sequence[Geometry], config: TrainConfig) -> tuple[float, ...]:
    """Spacing in mm along the patch's axes: as configured, or the median where it differs from case to case."""
    if isinstance(config.grid, tuple):
        return tuple(float(step) for step in config.grid)
    rows = []
    for geometry in geometries:
        shape = [geometry.shape[axis] for axis in network_axes(geometry)]
        sizes = zip(shape, network_spacing(geometry), network_size(geometry, config), strict=True)
        rows.append([n * mm / to for n, mm, to in sizes][-len(config.patch) :])
    return tuple(round(float(step), 6) for step in np.median(rows, axis=0))


def to_network(array: npt.NDArray[np.generic], geometry: Geometry) -> npt.NDArray[np.generic]:
    """A (X, Y, Z) array with its axes in network order."""
    return np.ascontiguousarray(array.transpose(network_axes(geometry)))


def to_case(array: npt.NDArray[np.generic], geometry: Geometry) -> npt.NDArray[np.generic]:
    """The inverse of `to_network`."""
    return np.ascontiguousarray(array.transpose(np.argsort(network_axes(geometry))))


def resample(volume: Tensor, size: Sequence[int], nearest: bool = False) -> Tensor:
    """A volume at another size: linear with anti-aliasing for images and logits, nearest for labels.

    Shape: (C, D, H, W) float -> (C, *size). Done in two passes, in-plane and across slices.
    """
    depth, height, width = size
    if volume.shape[2:] != (height, width):
        volume = _resize_2d(volume, (height, width), nearest)
    if volume.shape[1] != depth:
        flat = volume.flatten(2).unsqueeze(0)  # (1, C, D, H * W): one pass along D alone
        volume = _resize_2d(flat, (depth, flat.shape[-1]), nearest)[0].reshape(-1, depth, height, width)
    return volume


def resample_labels(codes: npt.NDArray[np.uint8], size: Sequence[int]) -> npt.NDArray[np.uint8]:
    """A label map at another size: the nearest code, and no mark of an annotator is lost.

    Where somebody annotated a part of what a voxel of the new grid covers, it has the code most frequent there among
    those that were annotated (of equals the highest): of a stroke one voxel wide, nearest would keep a dotted line.

    Shape: (D, H, W), 255 where nobody annotated -> size.
    """
    nearest = resample(torch.from_numpy(codes.astype(np.float32))[None], size, nearest=True)[0].numpy().astype(np.uint8)
    marked = np.nonzero(codes != IGNORE)
    if len(marked[0]) == codes.size or codes.shape == tuple(size):
        return nearest
    # Of each axis: in which new voxel the centre of an old one lies; of each new one, how many it holds.
    lies = [((np.arange(old) + 0.5) * new / old).astype(np.int64) for old, new in zip(codes.shape, size, strict=True)]
    rows = [np.bincount(axis, minlength=new) for axis, new in zip(lies, size, strict=True)]
    cells = np.ravel_multi_index([axis[at] for axis, at in zip(lies, marked, strict=True)], tuple(size))
    seen, votes = np.unique(cells * 256 + codes[marked], return_counts=True)
    held = rows[0][:, None, None] * rows[1][:, None] * rows[2]
    partly = np.bincount(cells, minlength=held.size) < held.ravel()
    order = np.lexsort((seen, votes))  # what is written last stays
    order = order[partly[seen[order] // 256]]
    nearest.reshape(-1)[seen[order] // 256] = seen[order] % 256
    return nearest


def _resize_2d(images: Tensor, size: tuple[int, int], nearest: bool) -> Tensor:
    if nearest:
        return F.interpolate(images, size=size, mode="nearest-exact")
    shrinks = size[0] < images.shape[-2] or size[1] < images.shape[-1]
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=shrinks)


def normalise(
    image: npt.NDArray[np.generic], window: tuple[float, float] | None, intensity: Intensity = "window"
) -> Tensor:
    """Intensities as a network reads them, per channel and case.

    "window": clipped to the window (or the 0.5th and 99.5th percentile), then zero mean and unit SD. "zscore": the same
    of the whole volume, nothing clipped. "range": clipped likewise, then 0 to 1 between the two ends.

    Shape: (C, D, H, W) of any number type -> the same in float32.
    """
    values = image.astype(np.float32)
    if intensity != "zscore":
        low_high = [window or np.percentile(channel, (0.5, 99.5)) for channel in values]
        low, high = (np.array(side, np.float32).reshape(-1, 1, 1, 1) for side in zip(*low_high, strict=True))
        np.clip(values, low, high, out=values)  # in place: an image may be a large part of the memory
    if intensity == "range":
        values -= low
        values /= np.maximum(high - low, 1e-6)
        return torch.from_numpy(values)
    mean = values.mean((1, 2, 3), keepdims=True)
    spread = values.std((1, 2, 3), keepdims=True)
    values -= mean
    values /= np.maximum(spread, 1e-6)
    return torch.from_numpy(values)
