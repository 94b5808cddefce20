"""All structures together moved, turned and scaled: a label map that slid off its image."""

import numpy as np
from scipy import ndimage

from bench.annotator import Given, LabelMap, annotator
from bench.planes import foreground, shadow, slices


@annotator("noisy", "simulated", "simulated misplacement")
def affine(given: Given) -> LabelMap:
    """The structures shifted, turned and scaled in-plane about their middle, by one transform in all slices."""
    noisy = given.label.copy()
    reached = shadow(given)
    if not reached.any():
        return noisy
    rng, spacing = given.stream(0), np.array(given.plane_spacing)
    way, side = 2 * np.pi * rng.random(), 1 if rng.random() < 0.5 else -1
    shift = given.severity * given.between("shift", rng) * np.array([np.cos(way), np.sin(way)])
    angle = side * np.deg2rad(given.severity * given.between("degrees", rng))
    scale = 1 + given.severity * (given.between("scale", rng) - 1)
    # From a place in the result back to the place in the reference, in mm and then in pixels.
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) / scale
    matrix = back * spacing[None, :] / spacing[:, None]
    middle = np.argwhere(reached).mean(axis=0)
    offset = middle - matrix @ (middle + shift / spacing)
    for label, out in slices(given, given.label, noisy):
        inside = np.where(foreground(label), label, np.uint8(0))
        out[...] = ndimage.affine_transform(inside, matrix, offset, order=0)
    return noisy
