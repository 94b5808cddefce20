"""Coarse contours: few corners with straight lines between them."""

import numpy as np
from skimage.draw import polygon2mask
from skimage.measure import approximate_polygon, find_contours

from bench.annotator import Given, LabelMap, annotator
from bench.planes import Region, foreground, signed_distance, slices, structures, window


@annotator("noisy", "simulated", "simulated coarse contour")
def polygon(given: Given) -> LabelMap:
    """Every outline simplified to corners that leave it off by at most `severity` times a length drawn for the case.

    Douglas and Peucker, Cartographica 1973. The outer outline of all structures is simplified as one, so no gap opens
    between neighbours; what several polygons hold, or none, goes to the structure that is deepest there.
    """
    noisy = given.label.copy()
    tolerance = given.severity * given.between("tolerance", given.stream(0))
    for plane, result in slices(given, given.label, noisy):
        codes = structures(plane)
        if not codes:
            continue
        # Corners are points of the outline, so nothing leaves its box.
        box = window(foreground(plane), (1, 1))
        label, out = plane[box], result[box]
        drawn = [_coarse(label == code, tolerance, given) for code in codes]
        inside = [signed_distance(label == code, given.plane_spacing) for code in codes]
        claims = [np.where(hold, deep, -np.inf) for hold, deep in zip(drawn, inside, strict=True)]
        held = np.where(np.any(drawn, axis=0), np.argmax(claims, axis=0), np.argmax(inside, axis=0))
        whole = _coarse(foreground(label), tolerance, given)
        out[...] = np.where(whole, np.array(codes, np.uint8)[held], np.uint8(0))
    return noisy


def _coarse(region: Region, tolerance: float, given: Given) -> Region:
    """The region inside its simplified outlines; holes stay holes. What would vanish stays as it is."""
    spacing = np.array(given.plane_spacing)
    filled = np.zeros(np.array(region.shape) + 2, bool)
    for contour in find_contours(np.pad(region, 1).astype(float), 0.5):
        corners = approximate_polygon(contour * spacing, tolerance) / spacing
        filled ^= polygon2mask(filled.shape, corners if len(corners) > 3 else contour)
    inner: Region = filled[1:-1, 1:-1]
    return inner if inner.any() else region
