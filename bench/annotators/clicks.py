"""Single clicks on structures and on the background near them."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import depth, near_foreground, present, shadow, slices
from converters.dataset import IGNORE


@annotator("points", "simulated", "simulated clicks")
def clicks(given: Given) -> LabelMap:
    """`k` voxels of every structure and of the background, in each slice or, with `per_case`, in the whole case.

    A voxel is clicked with a probability proportional to its distance from the border of its structure: people aim at
    the middle. Without replacement, by keys (Efraimidis and Spirakis, IPL 2006), so fewer clicks are among more.
    """
    drawn = np.full_like(given.label, IGNORE)
    fallback, k = shadow(given), int(given.options["k"])
    marks, labels = (np.moveaxis(volume, given.slice_axis, 0) for volume in (drawn, given.label))
    for value in present(given.label):
        keys = np.full(labels.shape, np.inf)
        for number, (label,) in enumerate(slices(given, given.label)):
            if value in label:
                region = label == value if value else near_foreground(label, fallback, given)
                chances = given.stream(number, value).random(region.sum())
                keys[number][region] = -np.log1p(-chances) / depth(region, given.plane_spacing)[region]
        chosen, hit = (keys[None], marks[None]) if given.options["per_case"] else (keys, marks)
        for key, mark in zip(chosen, hit, strict=True):
            found = np.argsort(key, axis=None, kind="stable")[: min(k, np.isfinite(key).sum())]
            mark[np.unravel_index(found, key.shape)] = value
    return drawn
