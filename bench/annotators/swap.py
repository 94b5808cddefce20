"""Swapped labels: two structures with each other's name."""

import numpy as np

from bench.annotator import Given, LabelMap, annotator
from bench.planes import structures


@annotator("noisy", "simulated", "simulated swap", structures=2)
def swap(given: Given) -> LabelMap:
    """Two structures of the case exchange their codes in a run of slices, a drawn share of those that hold either.

    A case that holds one structure stays as it is.
    """
    noisy = given.label.copy()
    codes, rng = structures(noisy), given.stream(0)
    if len(codes) < 2:
        return noisy
    first, second = sorted(codes, key=lambda _: rng.random())[:2]
    planes = np.moveaxis(noisy, given.slice_axis, 0)
    held = np.flatnonzero(((planes == first) | (planes == second)).any(axis=(1, 2)))
    run = max(1, round(min(1.0, given.severity * given.between("share", rng)) * len(held)))
    start = int(rng.random() * (len(held) - run + 1))
    for number in held[start : start + run]:
        plane = planes[number]
        a, b = plane == first, plane == second
        plane[a], plane[b] = second, first
    return noisy
