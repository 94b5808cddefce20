"""Between a case's grid and the network's: which size, and one linear (or nearest) resampling for both ways.

Network axes are (slice axis, then the other two in RAS order): a slice is contiguous and first.
Voxel centres map as (i + 0.5) * scale - 0.5, so the field of view is kept; shrinking is anti-aliased.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import scipy.ndimage
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
    """A label map at another size: the nearest code, and what an annotator marked does not vanish.

    A new slice shows, of the slices that it covers, one that somebody annotated, the nearest such. A stroke (marks of
    one code that touch, in a slice annotated in parts) that the nearest voxel misses everywhere keeps the one new voxel
    that it covers most: no stroke is lost, and none becomes thicker than it was drawn.

    Shape: (D, H, W), 255 where nobody annotated -> size.
    """
    chosen = _nearest(codes.shape[0], size[0])
    seen = (codes != IGNORE).any((1, 2))
    if not seen[chosen].all():
        chosen = _annotated(chosen, np.flatnonzero(seen), len(codes))
    plane = np.ix_(_nearest(codes.shape[1], size[1]), _nearest(codes.shape[2], size[2]))
    found = np.stack([codes[z][plane] for z in chosen])
    for z, slice_ in zip(chosen, found, strict=True):
        if seen[z] and (codes[z] == IGNORE).any():
            _keep_strokes(codes[z], slice_, plane)
    return found


def _nearest(old: int, new: int) -> npt.NDArray[np.int64]:
    """For each place along a new axis the old one it looks at, as torch counts them."""
    places = resample(torch.arange(old).float().reshape(1, 1, 1, -1), (1, 1, new), nearest=True)
    return places.flatten().numpy().astype(np.int64)


def _annotated(chosen: npt.NDArray[np.int64], seen: npt.NDArray[np.intp], old: int) -> npt.NDArray[np.int64]:
    """The chosen slices, or an annotated one that the new slice covers and that lies nearest to its middle."""
    found = chosen.copy()
    middles = (np.arange(len(chosen)) + 0.5) * old / len(chosen) - 0.5
    for new, middle in enumerate(middles):
        covered = seen[(seen + 0.5) * len(chosen) // old == new]
        if chosen[new] not in seen and len(covered):
            found[new] = covered[np.abs(covered - middle).argmin()]
    return found


def _keep_strokes(
    codes: npt.NDArray[np.uint8], found: npt.NDArray[np.uint8], plane: tuple[npt.NDArray[np.int64], ...]
) -> None:
    """Put strokes that are lost into `found`, which is `codes[plane]`, where there is room."""
    for code in np.unique(codes[codes != IGNORE]):
        strokes, count = scipy.ndimage.label(codes == code, np.ones((3, 3)))
        kept = np.unique(strokes[plane])
        for lost in np.setdiff1d(np.arange(1, count + 1), kept):
            old = np.argwhere(strokes == lost)
            cells, votes = np.unique(
                (old * 2 + 1) * found.shape // (np.array(codes.shape) * 2), axis=0, return_counts=True
            )
            free = [cell for cell in cells[np.argsort(-votes, kind="stable")].tolist() if found[tuple(cell)] == IGNORE]
            if free:
                found[tuple(free[0])] = code


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
