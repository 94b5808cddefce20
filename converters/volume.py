"""A grid of numbers in the world: Volume; strict NIfTI in and out; RAS+."""

import dataclasses

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


@dataclasses.dataclass(frozen=True)
class Volume:
    """A grid of numbers in the world.

    Shape: array (X, Y, Z), a 2D image has Z == 1; affine (4, 4), voxel index -> mm, RAS+ world.
    """

    array: np.ndarray[tuple[int, int, int], np.dtype[np.generic]]
    affine: npt.NDArray[np.float64]
