"""DeepMind's surface-distance, which the Medical Segmentation Decathlon uses and MONAI repeats as `use_subvoxels`.

Rules: google-deepmind/surface-distance, release 0.1; what an empty mask gives is from its repository at 1f805ce.
Differs from ours: the outline is where voxel corners touch both inside and outside, each weighted by the area (2D:
length) that marching cubes puts there; the percentile is the first distance at which 95 % of the area is reached, not
interpolated; a tolerance has no 1e-6 mm of grace. Outside the image is background.
`assd_mm` is no function of the package: its two means pooled by area, as papers report it.
One mask empty: Dice and NSD 0, no distance. Both empty, no usable prediction, or an image of one axis: no value.
"""

import functools

import numpy as np
import numpy.typing as npt

from bench.distances import Distances, Mask, nearest
from bench.profile import Masks, Values

Codes = npt.NDArray[np.uint8]  # which of the voxels around a corner are inside: one bit each, first axis highest


def values(masks: Masks) -> Values:
    """Dice, HD95, both directed means and their pool, in mm, and the surface Dice at each tolerance."""
    shares = {f"nsd@{tau:g}mm": tau for tau in masks.tolerances_mm}
    found: Values = dict.fromkeys(["dice", "hd95_mm", "asd_reference_to_prediction_mm"])
    found |= dict.fromkeys(["asd_prediction_to_reference_mm", "assd_mm", *shares])
    if masks.status in ("missed", "false"):
        found |= dict.fromkeys(["dice", *shares], 0.0)
    elif masks.status == "ok" and len(masks.spacing) > 1:
        sides = _sides(masks)
        sums = [float((distances * areas).sum()) for distances, areas in sides]
        sizes = [float(areas.sum()) for _, areas in sides]
        found |= {
            "dice": masks.dice,
            "hd95_mm": max(_percentile(*side) for side in sides),
            "asd_reference_to_prediction_mm": sums[0] / sizes[0],
            "asd_prediction_to_reference_mm": sums[1] / sizes[1],
            "assd_mm": sum(sums) / sum(sizes),
        }
        found |= {name: sum(float(a[d <= tau].sum()) for d, a in sides) / sum(sizes) for name, tau in shares.items()}
    return {f"surface_distance.{name}:v1": value for name, value in found.items()}


def _sides(masks: Masks) -> tuple[tuple[Distances, Distances], tuple[Distances, Distances]]:
    """Distances and areas of the surface elements of the reference and of the prediction, by distance, then area."""
    g, p = (corner_codes(mask) for mask in (masks.reference, masks.prediction))
    size = element_sizes(masks.spacing)
    surface_g, surface_p = ((codes > 0) & (codes < len(size) - 1) for codes in (g, p))
    sides = []
    for codes, own, other in ((g, surface_g, surface_p), (p, surface_p, surface_g)):
        distances, areas = nearest(own, other, masks.spacing), size[codes[own]]
        order = np.lexsort((areas, distances))
        sides.append((distances[order], areas[order]))
    return sides[0], sides[1]


def _percentile(distances: Distances, areas: Distances) -> float:
    reached = np.searchsorted(np.cumsum(areas) / areas.sum(), 0.95)
    return float(distances[min(int(reached), len(distances) - 1)])


def corner_codes(mask: Mask) -> Codes:
    """For each voxel corner, inside and on the faces of the array, which of the 4 or 8 voxels around it are set."""
    framed = np.pad(mask, 1)
    codes = np.zeros([length - 1 for length in framed.shape], dtype=np.uint8)
    for offset in np.ndindex((2,) * mask.ndim):
        window = tuple(slice(start, start + n) for start, n in zip(offset, codes.shape, strict=True))
        codes = (codes << 1 | framed[window]).astype(np.uint8)
    return codes


def element_sizes(spacing: tuple[float, ...]) -> Distances:
    """Area in mm² (2D: length in mm) of the surface at a corner, by its code."""
    scale = np.asarray(spacing)
    sizes = [sum(_size(element * scale) for element in elements) for elements in _elements(len(spacing))]
    return np.array(sizes, dtype=np.float64)


def _size(element: Distances) -> float:
    """Length of a segment (2, 2), area of a triangle (3, 3)."""
    if len(element) == 2:
        return float(np.linalg.norm(element[1] - element[0]))
    return float(np.linalg.norm(np.cross(element[1] - element[0], element[2] - element[0]))) / 2


@functools.cache
def _elements(ndim: int) -> list[Distances]:
    """Segments or triangles that part the set from the unset corners of a unit square or cube, for each code.

    Marching cubes, Lorensen and Cline 1987. Where more than half the corners are set, the others are cut off, one by
    one where they share no edge: without this rule 44 of the 256 codes, of unset corners that meet across a face only,
    have other areas than the package's.
    """
    from skimage.measure import find_contours, marching_cubes

    found = []
    for code in range(2**2**ndim):
        bits = np.array([code >> place & 1 for place in reversed(range(2**ndim))], dtype=np.float64)
        cell = (bits if 2 * bits.sum() <= len(bits) else 1 - bits).reshape((2,) * ndim)
        if not cell.any():
            found.append(np.zeros((0, ndim, ndim)))
        elif ndim == 3:
            points, faces, *_ = marching_cubes(cell, 0.5, method="lorensen")
            found.append(points[faces].astype(np.float64))
        else:
            lines = find_contours(cell, 0.5)
            found.append(np.array([line[k : k + 2] for line in lines for k in range(len(line) - 1)]))
    return found
