"""One slice after the other: what annotators share."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from bench.annotator import Given, LabelMap
from converters.dataset import IGNORE

Plane = npt.NDArray[np.float64]  # one slice
Region = npt.NDArray[np.bool_]  # voxels, mostly of one slice
Window = tuple[slice, ...]

EIGHT = np.ones((3, 3), bool)  # neighbours of a pixel, over corners too
_SMOOTH = 2.0  # pixels: half-widths jump from ridge to ridge


def slices(given: Given, *volumes: LabelMap) -> Iterable[Sequence[LabelMap]]:
    """The same slice of each volume, as views, one slice after the other."""
    return zip(*(np.moveaxis(volume, given.slice_axis, 0) for volume in volumes), strict=True)


def present(label: LabelMap) -> list[int]:
    """Codes in it, background too."""
    return [int(code) for code in np.unique(label) if code != IGNORE]


def structures(label: LabelMap) -> list[int]:
    """Codes in it other than background."""
    return [code for code in present(label) if code]


def foreground(label: LabelMap) -> Region:
    """Where any structure is."""
    found: Region = (label != 0) & (label != IGNORE)
    return found


def shadow(given: Given) -> Region:
    """Where any slice has a structure."""
    found: Region = np.any(foreground(given.label), axis=given.slice_axis)
    return found


def depth(region: Region, spacing: tuple[float, float]) -> Plane:
    """Distance of each pixel of the region to the nearest outside it; the image ends there too."""
    found: Plane = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing)
    return found[1:-1, 1:-1]


def near_foreground(label: LabelMap, fallback: Region, given: Given) -> Region:
    """Background within `band_mm` of the slice's structures; in a slice without any, where `fallback` says."""
    background, inside = label == 0, foreground(label)
    near = fallback
    if inside.any():
        distance: Plane = ndimage.distance_transform_edt(~inside, sampling=given.plane_spacing)
        near = distance <= given.options["band_mm"]
    room: Region = background & near
    return room if room.any() else background


def parts(region: Region) -> list[tuple[Window, Region]]:
    """Connected parts, each in its own window."""
    numbered, _ = ndimage.label(region, EIGHT)
    boxes: list[Window] = ndimage.find_objects(numbered)
    return [(box, numbered[box] == i + 1) for i, box in enumerate(boxes)]


def window(region: Region, margins: Sequence[int] = (0, 0)) -> Window:
    """The box around a region that is not empty, so many pixels wider on each side of each axis."""
    (box,) = ndimage.find_objects(region.astype(np.uint8))
    return tuple(slice(max(0, side.start - m), side.stop + m) for side, m in zip(box, margins, strict=True))


def half_width(distance: Plane) -> Plane:
    """Half a structure's width at the nearest point of its ridge: the radius inscribed there."""
    ridge = (distance > 0) & (distance >= ndimage.maximum_filter(distance, 3))
    nearest = ndimage.distance_transform_edt(~ridge, return_distances=False, return_indices=True)
    smooth: Plane = ndimage.gaussian_filter(distance[tuple(nearest)], _SMOOTH)
    widths: Plane = np.minimum(smooth, distance.max())
    return widths


def signed_distance(region: Region, spacing: tuple[float, float]) -> Plane:
    """Distance to the outline, which lies half a pixel from either side: positive inside, negative outside."""
    half = min(spacing) / 2
    if region.all() or not region.any():
        return np.full(region.shape, np.inf if region.any() else -np.inf)
    inner: Plane = ndimage.distance_transform_edt(region, sampling=spacing)
    outer: Plane = ndimage.distance_transform_edt(~region, sampling=spacing)
    return np.where(region, inner - half, half - outer)
