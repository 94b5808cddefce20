"""Bounding boxes: all that is known is where structures are not."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import slices, structures, window
from converters.dataset import IGNORE


@annotator("partial", "simulated", "simulated boxes", unit="box")
def box(given: Given) -> LabelMap:
    """One box around each structure of each slice: 255 inside, background outside.

    A box is wider than its structure by `margin_mm` on each side. Which structure a box is of is not in a label map.
    """
    drawn = np.where(given.label == IGNORE, given.label, np.uint8(0))
    margins = [int(given.options["margin_mm"] / spacing) for spacing in given.plane_spacing]
    for label, out in slices(given, given.label, drawn):
        for code in structures(label):
            out[window(label == code, margins)] = IGNORE
    return drawn
