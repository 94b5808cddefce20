"""A grid of numbers in the world: Volume; strict NIfTI in and out; RAS+."""

import dataclasses
import hashlib
import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters import nifti
from converters.errors import BenchError
from converters.files import write_bytes

Array = npt.NDArray[np.generic]
_ENDS = ("LR", "PA", "IS")  # the negative and the positive end of each world axis
WORLD = {end: axis for axis, ends in enumerate(_ENDS) for end in ends}  # axis code -> world axis
RUNS = ("right-left", "front-back", "foot-head")  # of each world axis, for people
_ENDS_OF = {end: ends for ends in _ENDS for end in ends}


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """A grid of numbers in the world.

    Shape: array (X, Y, Z), a 2D image has Z == 1; affine (4, 4), voxel index -> mm, RAS+ world.
    """

    array: np.ndarray[tuple[int, int, int], np.dtype[np.generic]]
    affine: npt.NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each axis."""
        return self.array.shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of voxel centres along each axis in mm, as the shortest decimal that float32 tells apart."""
        x, y, z = (float(str(np.float32(norm))) for norm in np.linalg.norm(self.affine[:3, :3], axis=0))
        return x, y, z

    def same_grid(self, other: "Volume") -> bool:
        """True when shapes are equal and no corner lies further off than rounding explains."""
        return self.shape == other.shape and self.distance(other) <= 1e-2 * min(self.spacing) + 1e-3

    def distance(self, other: "Volume") -> float:
        """How far, in mm, the two affines put a corner of this grid apart at most."""
        corners = np.array([(*c, 1) for c in itertools.product(*((0, size - 1) for size in self.shape))], dtype=float)
        return float(np.linalg.norm(corners @ (self.affine - other.affine)[:3].T, axis=1).max())


def read_nifti(path: Path) -> Volume:
    """The image, scaled by slope and intercept, orientation as stored; the voxels are read-only.

    Raises:
        BenchError: anything about the file is damaged, ambiguous or not a 3-D scalar image.
    """
    array, affine = nifti.decode(path)
    return Volume(array, affine)


def read_label(path: Path) -> Volume:
    """The label map as uint8.

    Raises:
        BenchError: as `read_nifti`, or a value is no integer from 0 to 255.
    """
    return whole(read_nifti(path), path)


def whole(volume: Volume, path: Path) -> Volume:
    """The numbers of a file as the codes of a label map, uint8.

    Raises:
        BenchError: a value is no integer from 0 to 255.
    """
    array = volume.array
    if array.dtype.kind == "f" and (broken := array != np.rint(array)).any():
        first = tuple(int(i) for i in np.argwhere(broken)[0])
        raise BenchError(
            f"{path.name}: {int(broken.sum())} label values are no integers, the first is {array[first]} at {first}",
            where=path,
            mend="the label was interpolated: take the one on the original grid",
        )
    low, high = array.min(), array.max()
    if low < 0 or high > 255:
        raise BenchError(
            f"{path.name}: label values from {low} to {high}; 0 to 255 fit",
            where=path,
            mend="give the map of the structures, not of instances or intensities",
        )
    return Volume(array.astype(np.uint8, copy=False), volume.affine)


def write_nifti(path: Path, volume: Volume, *, description: str = "") -> None:
    """Write `.nii.gz` whole or not at all; a file that already holds the same bytes is left alone.

    Raises:
        ValueError: the dtype is none of uint8, int16, uint16, float32.
    """
    write_bytes(path, nifti.encode(volume.array, volume.affine, description=description))


def flat(array: Array, spacing: tuple[float, float]) -> Volume:
    """A picture as a volume of one slice.

    The convention of this suite for pictures that say nothing of the person: columns run to the person's left, rows to
    the back. So `to_ras` flips both, for the image and for its label alike.

    Shape: array (columns, rows); spacing in mm along the same axes. The slice counts as 1 mm thick.
    """
    return Volume(array.reshape(array.shape[0], array.shape[1], 1), np.diag([-spacing[0], -spacing[1], 1.0, 1.0]))


def to_ras(volume: Volume) -> tuple[Volume, str]:
    """The same voxels with axes nearest to right, anterior, superior, and the axis codes before ("LPS").

    Flips and axis swaps only: obliquity stays in the affine, no voxel is resampled.
    """
    return turned(volume, "RAS"), axis_codes(volume.affine)


def turned(volume: Volume, wanted: str) -> Volume:
    """The same voxels with axes flipped and swapped so that they have these axis codes, such as "LPS"."""
    codes = axis_codes(volume.affine)
    order = [next(axis for axis, code in enumerate(codes) if code in _ENDS_OF[want]) for want in wanted]
    flip = [codes[axis] != want for axis, want in zip(order, wanted, strict=True)]
    array = volume.array.transpose(order)[tuple(slice(None, None, -1 if back else 1) for back in flip)]
    back = np.zeros((4, 4))  # wanted index -> stored index
    back[3, 3] = 1.0
    for new, (old, mirrored) in enumerate(zip(order, flip, strict=True)):
        back[old, new] = -1.0 if mirrored else 1.0
        back[old, 3] = volume.shape[old] - 1 if mirrored else 0.0
    return Volume(np.asfortranarray(array), as_stored(volume.affine @ back))


def axis_codes(affine: npt.NDArray[np.float64]) -> str:
    """Where each voxel axis points, to the nearest world axis: "RAS", "LPS", "PSR"."""
    turn = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    # world[axis]: the assignment of world axes with the largest sum of cosines; at 45 degrees the first of equals.
    worlds = max(
        itertools.permutations(range(3)),
        key=lambda world: round(sum(abs(float(turn[w, axis])) for axis, w in enumerate(world)), 6),
    )
    return "".join(_ENDS[world][int(turn[world, axis] > 0)] for axis, world in enumerate(worlds))


def as_stored(affine: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The affine as NIfTI keeps it (float32), without negative zeros."""
    return affine.astype(np.float32).astype(np.float64) + 0.0


def data_sha256(volume: Volume) -> str:
    """Digest of dtype, shape, affine (as stored, rounded to 1e-6) and little-endian Fortran-order voxels."""
    array = volume.array
    head = f"{array.dtype.name} {'x'.join(map(str, array.shape))}\n".encode()
    affine = np.round(as_stored(volume.affine), 6) + 0.0
    found = hashlib.sha256(head + affine.astype("<f8").tobytes())
    for piece in nifti.pieces(array):
        found.update(piece)
    return found.hexdigest()


def slice_axis(volume: Volume) -> int:
    """The axis of largest spacing, the last of equals; the singleton axis of a 2D image."""
    if volume.shape[2] == 1:
        return 2
    spacing = volume.spacing
    return max(range(3), key=lambda axis: (spacing[axis], axis))
