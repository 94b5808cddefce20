"""A dense label with wrong outlines: each structure dilated, eroded or distorted."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.outlines import Slip, moved, wave


@annotator("noisy", "simulated", "simulated noise")
def boundary(given: Given) -> LabelMap:
    """A dense label with wrong outlines: each structure dilated, eroded or distorted, alike in all its slices.

    Kinds and shares after the label noise of PyMIC's JSRT example (Wang et al., CMPB 2023), which is for one
    structure; how outlines move is told in bench/outlines.py.
    """

    def slip(_: int, size: tuple[int, ...]) -> Slip:
        kind = given.rng.random()
        radius = given.between("radius")
        if kind < given.options["dilate"]:
            return radius, np.ones(size)
        if kind < given.options["dilate"] + given.options["erode"]:
            return radius, -np.ones(size)
        return radius, wave(size, given, given.rng)

    return moved(given, slip)
