"""Outlines moved by signed distances: structures grow, shrink or waver, and stay neighbours."""

from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage

from bench.annotator import Given, LabelMap
from bench.planes import Plane, Region, Window, half_width, shadow, signed_distance, slices, structures, window
from converters.dataset import IGNORE

Slip = tuple[float, Plane]  # how far an outline is off, in mm, and which way at each pixel: 1 outward, -1 inward


def moved(given: Given, slip: Callable[[int, tuple[int, ...]], Slip]) -> LabelMap:
    """The label map with the outline of each structure moved, alike in all its slices.

    `slip` is asked once for each structure, in order of the codes, with its code and the size of a slice's window.
    The signed distance of each structure is shifted; where one of them outweighs the background's own distance there
    is foreground, and the structure with the largest has it: no gap opens between neighbours. Towards the background
    an outline moves by at most half of the structure's half-width, between two structures by half of the half-width
    of the one that loses, so that nothing vanishes from any slice. The equations are in docs/protocols.md.
    """
    noisy = given.label.copy()
    reached = shadow(given)
    if not reached.any():
        return noisy
    box = _window(reached, given)
    slips = {code: slip(code, reached[box].shape) for code in structures(noisy)}
    for label, out in slices(given, given.label, noisy):
        out[box] = _slipped(label[box], slips, given)
    return noisy


def wave(size: tuple[int, ...], given: Given, rng: np.random.Generator) -> Plane:
    """A smooth random field with values in [-1, 1]: white noise, blurred over `wave_mm`, cut at its SD."""
    sigma = [given.options["wave_mm"] / spacing for spacing in given.plane_spacing]
    field: Plane = ndimage.gaussian_filter(rng.random(size) - 0.5, sigma)
    spread = field.std()
    return np.clip((field - field.mean()) / spread, -1, 1) if spread > 0 else np.zeros(size)


def _window(reached: Region, given: Given) -> Window:
    """The box around all foreground that a slip can reach."""
    reach = given.options["radius_high"] * given.severity
    return window(reached, [int(np.ceil(reach / spacing)) + 2 for spacing in given.plane_spacing])


def _slipped(label: LabelMap, slips: Mapping[int, Slip], given: Given) -> LabelMap:
    """One slice with its outlines shifted."""
    codes = structures(label)
    if not codes:
        return label
    inside = [signed_distance(label == code, given.plane_spacing) for code in codes]
    widths = [half_width(distance) for distance in inside]
    claims, shares = [], []
    for i, (code, distance, width) in enumerate(zip(codes, inside, widths, strict=True)):
        radius, way = slips[code]
        nearest = np.min([*widths[:i], *widths[i + 1 :], np.full(label.shape, np.inf)], axis=0)
        # Twice, as the distance to the other side of an outline stands against it: the outline moves by the shift.
        claims.append(distance + 2 * np.clip(radius * way, -width / 2, distance.max() / 2))
        shares.append(distance + 2 * np.clip(radius * way, -width / 4, nearest / 4))
    found = np.max(claims, axis=0) > signed_distance(label == 0, given.plane_spacing)
    noisy = np.where(found, np.array(codes, np.uint8)[np.argmax(shares, axis=0)], np.uint8(0))
    noisy[label == IGNORE] = IGNORE
    return noisy
