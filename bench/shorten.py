"""Scribble budgets: strokes cut to 1/2, 1/4, 1/8 or 1/16."""

import numpy as np
from scipy import ndimage

from bench.annotator import LabelMap
from bench.planes import Region, window
from converters.dataset import IGNORE


def shortened(strokes: LabelMap, slice_axis: int, parts: int) -> LabelMap:
    """Of each code in each slice one connected stroke, in 1/`parts` of its bounding box; `parts` is a power of two.

    The box is halved along its longer side, the first axis where both are alike, the lower half is kept, and of that
    the largest 4-connected part; again and again. DMSPS (Han et al., Medical Image Analysis 2024), whose arrays run
    the other way (LPS), so the same half. There several strokes cut each other short; here the largest is taken first.
    """
    cut = np.full_like(strokes, IGNORE)
    for drawn, out in zip(*(np.moveaxis(volume, slice_axis, 0) for volume in (strokes, cut)), strict=True):
        for code in np.unique(drawn[drawn != IGNORE]):
            stroke = _largest(drawn == code, 2)
            for _ in range(parts.bit_length() - 1):
                stroke = _half(stroke)
            out[stroke] = code
    return cut


def _half(stroke: Region) -> Region:
    box = window(stroke)
    sides = [side.stop - side.start for side in box]
    axis = 1 if sides[1] > sides[0] else 0
    kept = np.zeros_like(stroke)
    lower = list(box)
    lower[axis] = slice(box[axis].start, box[axis].stop - sides[axis] // 2)
    kept[tuple(lower)] = stroke[tuple(lower)]
    return _largest(kept, 1)


def _largest(region: Region, connectivity: int) -> Region:
    numbered, _ = ndimage.label(region, ndimage.generate_binary_structure(2, connectivity))
    found: Region = numbered == 1 + int(np.argmax(np.bincount(numbered.ravel())[1:]))
    return found
