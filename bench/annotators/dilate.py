"""Every structure too large: a person who always errs to the same side."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.outlines import Slip, moved


@annotator("noisy", "simulated", "simulated dilation")
def dilate(given: Given) -> LabelMap:
    """Every structure grown by `severity` times a radius drawn for it, alike in all its slices."""

    def slip(code: int, size: tuple[int, ...]) -> Slip:
        return given.severity * given.between("radius", given.stream(code)), np.ones(size)

    return moved(given, slip)
