"""Lesions: the connected parts of a structure, and which of them the other label map touches."""

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.distances import Mask

Indices = npt.NDArray[np.intp]


class Lesions(NamedTuple):
    """How many there are, and how many share a voxel with any of the other side."""

    reference: int
    prediction: int
    detected: int  # of the reference
    confirmed: int  # of the prediction


def lesions(reference: Mask, prediction: Mask) -> Lesions:
    """Count the lesions of two masks on one grid: parts joined by faces, edges or corners.

    The rule of the WMH challenge: Kuijf et al., IEEE TMI 2019; 26 neighbours in 3D, 8 in 2D.
    """
    masks = np.atleast_2d(reference), np.atleast_2d(prediction)
    shared = _runs(masks[0] & masks[1])[0]
    counts, touched = [], []
    for mask in masks:
        starts, stops = _runs(mask)
        count, part = _parts(starts, stops, mask.shape)
        counts.append(count)
        touched.append(len(np.unique(part[np.searchsorted(starts, shared, side="right") - 1])))
    return Lesions(*counts, *touched)


def _runs(mask: Mask) -> tuple[Indices, Indices]:
    """Start and stop of each run of voxels along the last axis, as indices of a grid with one more column.

    The column, always empty, keeps the end of a line apart from the start of the next.
    """
    framed = np.zeros((*mask.shape[:-1], mask.shape[-1] + 1), dtype=bool)
    framed[..., :-1] = mask
    flat = framed.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if len(flat) and flat[0]:
        changes = np.concatenate([[0], changes])
    return changes[::2], changes[1::2]


def _parts(starts: Indices, stops: Indices, shape: tuple[int, ...]) -> tuple[int, Indices]:
    """Number of connected parts, and the part that each run belongs to.

    A lesion is some runs that touch, and there are a hundred times fewer runs than voxels to label.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(starts):
        return 0, starts
    pairs = _touching(starts, stops, shape)
    graph = coo_array((np.ones(len(pairs[0]), dtype=np.int8), pairs), shape=(len(starts), len(starts)))
    count, part = connected_components(graph, directed=False)
    return int(count), part.astype(np.intp)


def _touching(starts: Indices, stops: Indices, shape: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Pairs of runs on neighbouring lines that meet, diagonally too."""
    width = shape[-1] + 1
    lines = np.stack(np.unravel_index(starts // width, shape[:-1]), axis=1)
    jumps = np.cumprod([1, *shape[-2:0:-1]])[::-1] * width
    ones, others = [], []
    for step in itertools.product((-1, 0, 1), repeat=len(shape) - 1):
        if step >= (0,) * len(step):
            continue  # of two lines, the later looks for the earlier
        there = lines + step
        runs = np.flatnonzero(((there >= 0) & (there < shape[:-1])).all(axis=1))
        first = np.searchsorted(stops, starts[runs] + step @ jumps)
        counts = np.searchsorted(starts, stops[runs] + step @ jumps, side="right") - first
        # One after the other: first, first + 1 ... for each run.
        ahead = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        ones.append(np.repeat(runs, counts))
        others.append(np.repeat(first, counts) + ahead)
    return np.concatenate(ones), np.concatenate(others)
