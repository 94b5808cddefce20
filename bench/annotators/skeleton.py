"""Scribbles as WSL4MIS and WORD simulate them: a walk along the skeleton of an eroded structure.

Luo et al., MICCAI 2022, and Luo et al., Medical Image Analysis 82, 2022; WSL4MIS, code/scribbles_generator.py.
"""

import math

import numpy as np
from scipy import ndimage
from skimage.morphology import skeletonize

from bench.annotator import Given, LabelMap, annotator
from bench.planes import EIGHT, Region, depth, parts, present, slices, window
from bench.walk import walk_without_spur
from converters.dataset import IGNORE

_LEAST = 15  # pixels of skeleton, below which only the largest piece is walked along


@annotator("scribble", "simulated", "simulated skeleton scribble")
def skeleton(given: Given) -> LabelMap:
    """In each slice one thick, moved stroke for each structure, and the whole skeleton of the background.

    All lengths are pixels, as published. Two things differ, so that every structure of a slice has a stroke: erosion
    stops before nothing is left, and a stroke that moved out of its structure stays where it was.
    """
    strokes = np.full_like(given.label, IGNORE)
    for number, (label, drawn) in enumerate(slices(given, given.label, strokes)):
        for value in present(label):
            region, rng = label == value, given.stream(number, value)
            line = _line(region, given, rng)
            drawn[_stroke(line, region, given, rng) if value else line] = value
    return strokes


def _line(region: Region, given: Given, rng: np.random.Generator) -> Region:
    """The skeleton of the eroded region; its deepest pixel where there is none."""
    rounds = math.ceil(given.between("erode", rng)) if region.sum() > given.options["erode_area"] else 0
    box = window(region)
    core = np.pad(region[box], 1)
    for _ in range(rounds):
        smaller = ndimage.binary_erosion(core, EIGHT)
        core = smaller if smaller.any() else core
    found = np.asarray(skeletonize(core, method="lee")) > 0
    if not found.any():
        inward = depth(core, given.plane_spacing)
        found = inward == inward.max()
    line = np.zeros_like(region)
    line[box] = found[1:-1, 1:-1]
    return line


def _stroke(line: Region, region: Region, given: Given, rng: np.random.Generator) -> Region:
    found = parts(line)
    longest = max(part.sum() for _, part in found)
    walked = np.zeros_like(line)
    for box, part in found:
        if part.sum() > _LEAST or part.sum() == longest:
            walked[box][tuple(np.transpose(walk_without_spur(part, rng)))] = True
    stroke = ndimage.binary_dilation(walked, EIGHT) & region
    if region.sum() <= given.options["move_area"]:
        return stroke
    moved = _moved(ndimage.binary_dilation(walked, EIGHT), given, rng) & region
    return moved if moved.any() else stroke


def _moved(stroke: Region, given: Given, rng: np.random.Generator) -> Region:
    """Shifted by whole pixels, then turned about the middle of the image."""
    reach, most = int(given.options["shift"]), given.options["degrees"]
    shift = np.array([int(rng.random() * (2 * reach + 1)) - reach for _ in range(2)])
    angle = np.deg2rad(most * (2 * rng.random() - 1))
    back = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = (np.array(stroke.shape) - 1) / 2
    turned: Region = (
        ndimage.affine_transform(stroke.astype(np.uint8), back, middle - back @ middle - shift, order=0) > 0
    )
    return turned
