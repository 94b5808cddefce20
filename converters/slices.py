"""Volumes as stacks of slices, (slice, row, column), and back: the order in which SSL4MIS keeps arrays."""

import numpy as np

from converters.volume import Array


def stacked(array: Array, axis: int) -> Array:
    """The array (X, Y, Z) as slices along `axis`; for axis 2 as SimpleITK gives it: (Z, Y, X)."""
    return np.ascontiguousarray(np.moveaxis(array, axis, 2).transpose(2, 1, 0))


def unstacked(slices: Array, axis: int) -> Array:
    """The array (X, Y, Z) whose slices along `axis` these are."""
    return np.moveaxis(slices.transpose(2, 1, 0), 2, axis)


def scaled(array: Array) -> tuple[Array, float, float]:
    """Intensities from 0 to 1 as float32, with the lowest and the highest there were; all 0 where all are the same."""
    low, high = float(array.min()), float(array.max())
    if high == low:
        return np.zeros(array.shape, np.float32), low, high
    return ((array.astype(np.float64) - low) / (high - low)).astype(np.float32), low, high
