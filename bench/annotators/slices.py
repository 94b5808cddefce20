"""Dense labels in every n-th slice."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import foreground
from converters.dataset import IGNORE


@annotator("partial", "simulated", "every n-th slice")
def slices(given: Given) -> LabelMap:
    """Every `n`-th slice of those between the first and the last with a structure, from a drawn one on; 255 elsewhere.

    At least one. Where no slice has a structure, of all slices.
    """
    drawn = np.full_like(given.label, IGNORE)
    shown, known = (np.moveaxis(volume, given.slice_axis, 0) for volume in (drawn, given.label))
    held = np.flatnonzero(foreground(known).any(axis=(1, 2)))
    first, last = (int(held[0]), int(held[-1])) if len(held) else (0, len(known) - 1)
    step = int(given.options["n"])
    start = first + int(given.stream(0).random() * min(step, last - first + 1))
    shown[start : last + 1 : step] = known[start : last + 1 : step]
    return drawn
