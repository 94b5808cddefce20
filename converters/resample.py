"""Volumes through SimpleITK: to another grid, and N4 bias-field correction. One thread: the same bits on every run.

SimpleITK's world is LPS, ours RAS: the first two world axes change sign on the way, the voxels stay as they are.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813  # as everybody calls it

from converters.errors import BenchError
from converters.volume import Volume

Matrix = npt.NDArray[np.float64]

# Sums over threads end in another order on each run and each machine.
sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

MOST = 1 << 29  # voxels of one volume: a finer grid than this is a slip of the pen
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_KINDS = {"bspline": sitk.sitkBSpline, "linear": sitk.sitkLinear, "nearest": sitk.sitkNearestNeighbor}
# N4 after Tustison et al., IEEE TMI 2010, with ITK's own defaults but for the shrinking.
_N4_SHRINK, _N4_LEVELS, _N4_STEPS, _N4_BINS = 4, 4, 50, 200
N4 = (
    f"N4 of SimpleITK; mask: Otsu with {_N4_BINS} bins; field fitted on every {_N4_SHRINK}th voxel, of axes with fewer "
    f"than {16 * _N4_SHRINK} voxels on every (voxels / 16)th; {_N4_LEVELS} levels of {_N4_STEPS} steps at most, "
    f"threshold 0.001; full width 0.15, noise 0.01, cubic splines of 4 points"
)
MEDIAN = "median over {0} x {0} pixels, of volumes {0} x {0} x {0} voxels; beyond the edge its values go on"


class Grid(NamedTuple):
    """Where voxels lie: shape, and the affine (4, 4) from voxel index to RAS mm."""

    shape: tuple[int, int, int]
    affine: Matrix


class Rule(NamedTuple):
    """How values between voxels are found, and the value outside."""

    interpolation: str  # bspline, linear, nearest
    outside: float | None  # None: the values at the edge go on


NEAREST = Rule("nearest", 0.0)
LINEAR = Rule("linear", None)


def grid_of(volume: Volume) -> Grid:
    """The grid of a volume."""
    return Grid(volume.shape, volume.affine)


def image_of(volume: Volume) -> sitk.Image:
    """The same voxels at the same places, in SimpleITK."""
    image = sitk.GetImageFromArray(volume.array.transpose(2, 1, 0))
    spacing, direction, origin = _placed(volume.affine)
    image.SetSpacing(spacing)
    image.SetDirection(direction)
    image.SetOrigin(origin)
    return image


def volume_of(image: sitk.Image) -> Volume:
    """The same voxels at the same places, out of SimpleITK."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), _LPS @ affine)


def _placed(affine: Matrix) -> tuple[list[float], list[float], list[float]]:
    """Spacing, direction and origin as SimpleITK has them."""
    lps = _LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    return spacing.tolist(), (lps[:3, :3] / spacing).ravel().tolist(), lps[:3, 3].tolist()


def smoothed(volume: Volume, edge: int) -> Volume:
    """The median over a window of `edge` voxels (odd) along every axis that has more than one; the type stays."""
    radius = [edge // 2 if size > 1 else 0 for size in volume.shape]
    filtered = sitk.GetArrayFromImage(sitk.Median(image_of(volume), radius)).transpose(2, 1, 0)
    return Volume(np.asfortranarray(filtered), volume.affine)


def respaced(grid: Grid, spacing: tuple[float, float, float]) -> Grid:
    """The grid of that spacing (mm along the array's axes) with the same centre, axes and field of view.

    The number of voxels is rounded, so every new voxel centre lies inside the old field of view. An axis of one voxel
    and an axis of this spacing stay as they are.

    Raises:
        BenchError: a voxel would be larger than the image, or there would be too many.
    """
    old = np.linalg.norm(grid.affine[:3, :3], axis=0)
    same = (np.array(grid.shape) == 1) | np.isclose(old, spacing, rtol=1e-4, atol=0)
    new = np.where(same, old, spacing)
    if same.all():
        return grid
    exact = np.array(grid.shape) * old / new
    sizes = np.where(same, grid.shape, np.floor(exact + 0.5 + 1e-6))
    if (exact < 1).any() or sizes.prod() > MOST:
        asked = "x".join(f"{value:g}" for value in spacing)
        wide = " x ".join(f"{value:g}" for value in np.array(grid.shape) * old)
        raise BenchError(
            f"at {asked} mm an image of {wide} mm would have {' x '.join(f'{v:.0f}' for v in sizes)} voxels",
            mend="give --spacing in mm, along right, anterior and superior",
        )
    affine = grid.affine.copy()
    affine[:3, :3] *= new / old
    affine[:3, 3] += grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2) - affine[:3, :3] @ ((sizes - 1) / 2)
    x, y, z = map(int, sizes)
    return Grid((x, y, z), affine)


def onto(volume: Volume, grid: Grid, rule: Rule, matrix: Matrix | None = None) -> Volume:
    """The volume on another grid; the very same voxels where it lies on that grid already.

    Values stay inside the range of the volume and the value outside: splines overshoot at edges. Whole numbers stay
    whole, rounded.

    Args:
        volume: what to resample.
        grid: where to.
        rule: for the values.
        matrix: (4, 4), a place (RAS mm) of the grid -> the place of the volume that belongs there; None: the same.
    """
    if matrix is None and grid.shape == volume.shape and volume.same_grid(Volume(volume.array, grid.affine)):
        return Volume(volume.array, grid.affine)
    if rule.interpolation == "nearest":
        return Volume(_resampled(volume, grid, rule, matrix), grid.affine)
    array = volume.array
    kind = np.float32 if array.dtype.itemsize <= 2 or array.dtype == np.float32 else np.float64
    found = _resampled(Volume(array.astype(kind), volume.affine), grid, rule, matrix)
    held = [array.min(), array.max()] + ([] if rule.outside is None else [rule.outside])
    found = np.clip(found, min(held), max(held))
    if array.dtype.kind in "iub":
        found = np.rint(found).astype(np.promote_types(array.dtype, np.min_scalar_type(int(rule.outside or 0))))
    return Volume(found, grid.affine)


def _resampled(volume: Volume, grid: Grid, rule: Rule, matrix: Matrix | None) -> npt.NDArray[np.generic]:
    resampler = sitk.ResampleImageFilter()
    spacing, direction, origin = _placed(grid.affine)
    resampler.SetSize(list(grid.shape))
    resampler.SetOutputSpacing(spacing)
    resampler.SetOutputDirection(direction)
    resampler.SetOutputOrigin(origin)
    resampler.SetInterpolator(_KINDS[rule.interpolation])
    if rule.outside is None:
        resampler.SetUseNearestNeighborExtrapolator(True)
    else:
        resampler.SetDefaultPixelValue(rule.outside)
    resampler.SetTransform(sitk.Transform(3, sitk.sitkIdentity) if matrix is None else transform_of(matrix))
    array: npt.NDArray[np.generic] = sitk.GetArrayFromImage(resampler.Execute(image_of(volume))).transpose(2, 1, 0)
    return array


def transform_of(matrix: Matrix) -> sitk.AffineTransform:
    """A mapping of RAS mm as SimpleITK's of LPS mm."""
    lps = _LPS @ matrix @ _LPS
    found = sitk.AffineTransform(3)
    found.SetMatrix(lps[:3, :3].ravel().tolist())
    found.SetTranslation(lps[:3, 3].tolist())
    return found


def matrix_of(transform: sitk.Transform) -> Matrix:
    """A linear mapping of LPS mm, as SimpleITK has it, as (4, 4) of RAS mm, rounded to what is applied and recorded."""
    points = [np.array(transform.TransformPoint(point)) for point in np.vstack([np.zeros(3), np.eye(3)]).tolist()]
    lps = np.eye(4)
    lps[:3, :3] = np.stack([point - points[0] for point in points[1:]], axis=1)
    lps[:3, 3] = points[0]
    found = _LPS @ lps @ _LPS
    found[:3, :3], found[:3, 3] = np.round(found[:3, :3], 7), np.round(found[:3, 3], 4)
    return found + 0.0


def unbiased(volume: Volume) -> Volume:
    """The volume over its bias field, as float32. The parameters are those of `N4`.

    Raises:
        BenchError: N4 cannot work on it, as where all voxels are equal.
    """
    if volume.array.min() == volume.array.max():
        raise BenchError("N4 finds no tissue: all voxels are equal", mend="convert it without --n4")
    image = image_of(Volume(volume.array.astype(np.float32), volume.affine))
    factors = [max(1, min(_N4_SHRINK, size // 16)) for size in volume.shape]
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations([_N4_STEPS] * _N4_LEVELS)
    try:
        mask = sitk.OtsuThreshold(image, 0, 1, _N4_BINS)
        corrector.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
        field = sitk.Exp(corrector.GetLogBiasFieldAsImage(image))
    except RuntimeError as error:
        told = str(error).strip().splitlines()[-1]
        raise BenchError(f"N4 failed: {told}", mend="convert it without --n4") from None
    found = volume.array / sitk.GetArrayFromImage(field).transpose(2, 1, 0)
    if not np.isfinite(found).all():
        raise BenchError("N4 found a bias field of no sense", mend="convert it without --n4")
    return Volume(found.astype(np.float32), volume.affine)
