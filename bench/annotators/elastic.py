"""All structures together bent: a label map drawn on a warped image."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.outlines import wave
from bench.planes import foreground, slices


@annotator("noisy", "simulated", "simulated warping")
def elastic(given: Given) -> LabelMap:
    """Every voxel's label taken from up to `severity` times a drawn length away, along a smooth in-plane field.

    One field for all slices of the case.
    """
    noisy = given.label.copy()
    rng = given.stream(0)
    size = np.moveaxis(given.label, given.slice_axis, 0).shape[1:]
    reach = given.severity * given.between("shift", rng)
    fields = [wave(size, given, rng) * reach / spacing for spacing in given.plane_spacing]
    from_here = [
        np.clip(np.rint(place + field), 0, n - 1).astype(np.intp)
        for place, field, n in zip(np.indices(size), fields, size, strict=True)
    ]
    for label, out in slices(given, given.label, noisy):
        out[...] = np.where(foreground(label), label, np.uint8(0))[tuple(from_here)]
    return noisy
