"""Forgotten parts: a structure that was overlooked in some slices."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import parts, slices, structures


@annotator("noisy", "simulated", "simulated omission")
def missing(given: Given) -> LabelMap:
    """Connected parts of structures in a slice become background, each with probability `severity` times `share`.

    At least one of the case does.
    """
    noisy = given.label.copy()
    least = given.severity * given.options["share"]
    drawn = []
    for number, (label, out) in enumerate(slices(given, given.label, noisy)):
        for code in structures(label):
            rng = given.stream(number, code)
            drawn += [(rng.random(), out[window], part) for window, part in parts(label == code)]
    fewest = min((chance for chance, _, _ in drawn), default=0.0)
    for chance, out, part in drawn:
        if chance < least or chance == fewest:
            out[part] = np.uint8(0)
    return noisy
