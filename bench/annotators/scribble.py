"""Strokes as the experts of ACDC draw them: along thin parts, a loop in round ones, background near the structures."""

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from bench.annotator import Given, LabelMap, annotator
from bench.planes import Plane, Region, depth, half_width, near_foreground, parts, present, shadow, slices
from bench.walk import longest_walk
from converters.dataset import IGNORE


@annotator("scribble", "simulated")
def scribble(given: Given) -> LabelMap:
    """Simulated scribbles: in each slice a stroke for each connected part of a structure, and background around them.

    A stroke is a random walk along the skeleton of the eroded part. Round parts have next to no skeleton, and people
    draw a loop in them: there the walk follows the outline of the eroded part.
    After the generator of WSL4MIS (Luo et al., MICCAI 2022); what differs is in docs/protocols.md.
    """
    strokes = np.full_like(given.label, IGNORE)
    fallback = shadow(given)
    for label, drawn in slices(given, given.label, strokes):
        for value in present(label):
            region = label == value
            found = parts(region if value else near_foreground(label, fallback, given))
            least = given.options["least_part"] * max(part.sum() for _, part in found)
            for window, part in found:
                if part.sum() >= least:
                    drawn[window][_stroke(part, given)] = value
    return strokes


def _stroke(part: Region, given: Given) -> Region:
    """One stroke inside the part, as wide as the brush; never empty."""
    inward = depth(part, given.plane_spacing)
    radius = float(inward.max())
    core = inward >= given.between("depth") * half_width(inward)
    pixel = float(np.mean(given.plane_spacing))
    path = longest_walk(np.asarray(skeletonize(core, method="lee")) > 0, given.rng)
    if len(path) * pixel < given.options["round_below"] * radius:
        path = longest_walk(core & ~ndimage.binary_erosion(core), given.rng)
        path = path[: max(1, round(given.between("loop") * len(path)))]
    line = np.zeros_like(part)
    line[tuple(np.transpose(path))] = True
    distance: Plane = ndimage.distance_transform_edt(~line, sampling=given.plane_spacing)
    return part & (distance <= given.options["brush_mm"] / 2)
