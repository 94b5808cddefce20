"""Where one image lies in another: rigid and affine registration by mutual information, with fixed seeds.

Mattes et al., IEEE TMI 2003, in SimpleITK. From coarse to fine; coarser levels are block means, so that a stack of
thick slices is never thinned along its slices. One thread, one seed; the result is rounded before it is applied, so
what the sidecar says is what was done.
"""

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import SimpleITK as sitk  # noqa: N813  # as everybody calls it

from converters.errors import BenchError
from converters.resample import Matrix, image_of, matrix_of
from converters.volume import Volume

Result = TypeVar("Result")

_BINS, _SEED, _SAMPLES = 32, 1, 60_000
_RIM = 0.1  # of a field of view: how far things may move before voxels get lost over its edge
_LEVELS = (4, 2, 1)  # voxel sizes, in the finest of the fixed image
_ROUNDS, _LINE, _STEP, _CLOSE = 10, 20, 0.5, 0.01  # Powell's: the last two in voxels of the level and of the finest
_HOW = (
    f"Mattes mutual information, {_BINS} bins; levels of {', '.join(map(str, _LEVELS))} times the finest voxel; "
    f"regular samples, {_SAMPLES} at most, seed {_SEED}, {_RIM:.0%} from the edge of the moved image; "
    f"Powell's search, {_ROUNDS} rounds a level, steps from {_STEP:g} voxels; linear interpolation"
)
RIGID = f"{_HOW}; from the headers, or centres of mass where these fail"
AFFINE = f"{_HOW}; from the centres of mass, rigid first"


def rigid(fixed: Volume, moving: Volume) -> Matrix | None:
    """(4, 4): a place (RAS mm) in `fixed` -> the place in `moving`.

    Starts from the headers; from the centres of mass where less than half of `fixed` lies inside `moving` by them, or
    where that start leads out of the images.
    None where nothing fits better than the headers.

    Raises:
        BenchError: the images have too little in common to compare them.
    """
    a, b = _plain(fixed), _plain(moving)
    start = sitk.Euler3DTransform()
    start.SetCenter(a.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in a.GetSize()]))
    if covered(fixed, moving) >= 0.5:
        found = sitk.Euler3DTransform(start)
        with contextlib.suppress(BenchError):
            _fit(a, b, found)
            method = _method(a, b, start)
            before, after = (_metric(method, a, b, transform) for transform in (start, found))
            return matrix_of(found) if after < before else None
    found = _centred(a, b)
    _fit(a, b, found)
    return matrix_of(found)


def affine(fixed: Volume, moving: Volume) -> Matrix:
    """(4, 4): a place (RAS mm) in `fixed` -> the place in `moving`. Starts from the centres of mass; rigid first.

    Raises:
        BenchError: the images have too little in common to compare them.
    """
    a, b = _plain(fixed), _plain(moving)
    turned = _centred(a, b)
    _fit(a, b, turned)
    found = sitk.AffineTransform(3)
    found.SetCenter(turned.GetCenter())
    found.SetMatrix(turned.GetMatrix())
    found.SetTranslation(turned.GetTranslation())
    _fit(a, b, found)
    return matrix_of(found)


def moved_mm(matrix: Matrix, volume: Volume) -> float:
    """How far the mapping takes a corner of the volume at most."""
    corners = np.array([(*c, 1) for c in itertools.product(*((0, size - 1) for size in volume.shape))], dtype=float)
    there = corners @ volume.affine.T
    distances: list[float] = np.linalg.norm((there @ matrix.T - there)[:, :3], axis=1).tolist()
    return max(distances)


def covered(fixed: Volume, moving: Volume, matrix: Matrix | None = None) -> float:
    """Share of the grid of `fixed` that lies inside `moving`, on a lattice of 16 points an axis at most."""
    axes = [np.unique(np.linspace(0, size - 1, 16).round()) for size in fixed.shape]
    lattice = np.stack([axis.ravel() for axis in np.meshgrid(*axes, [1.0], indexing="ij")])
    mapping = np.linalg.inv(moving.affine) @ (np.eye(4) if matrix is None else matrix) @ fixed.affine
    there = (mapping @ lattice)[:3].T
    return float(((there > -0.5) & (there < np.array(moving.shape) - 0.5)).all(axis=1).mean())


def _centred(fixed: sitk.Image, moving: sitk.Image) -> sitk.Euler3DTransform:
    """Centre of mass to centre of mass."""
    by_mass = sitk.CenteredTransformInitializerFilter.MOMENTS
    return sitk.Euler3DTransform(sitk.CenteredTransformInitializer(fixed, moving, sitk.Euler3DTransform(), by_mass))


def _plain(volume: Volume) -> sitk.Image:
    """From 0 upwards, so that air weighs nothing in a centre of mass."""
    array = volume.array.astype(np.float32)
    return image_of(Volume(array - array.min(), volume.affine))


def _fit(fixed: sitk.Image, moving: sitk.Image, transform: sitk.Transform) -> None:
    """Move `transform` to where the images fit best."""
    finest = min(fixed.GetSpacing())
    radius = max(size * spacing for size, spacing in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)) / 2
    for level in _LEVELS:
        a, b = (_coarse(image, level * finest) for image in (fixed, moving))
        method = _method(a, b, transform)
        method.SetOptimizerAsPowell(
            numberOfIterations=_ROUNDS,
            maximumLineIterations=_LINE,
            stepLength=_STEP * level * finest,
            stepTolerance=_CLOSE * finest,
            valueTolerance=1e-5,
        )
        # A step of 1 turns, or stretches, such that a place half a field of view away moves by about 1 mm.
        others = len(transform.GetParameters()) - 3
        method.SetOptimizerScales([radius] * others + [1.0] * 3)
        method.SetInitialTransform(transform, inPlace=True)
        _run(method.Execute, a, b)


def _coarse(image: sitk.Image, millimetres: float) -> sitk.Image:
    """Block means of about that size; eight blocks along an axis at least, where it has as many voxels."""
    factors = [
        max(1, min(round(millimetres / spacing), size // 8))
        for spacing, size in zip(image.GetSpacing(), image.GetSize(), strict=True)
    ]
    return sitk.BinShrink(image, factors)


def _method(fixed: sitk.Image, moving: sitk.Image, at: sitk.Transform) -> sitk.ImageRegistrationMethod:
    """The metric, over the voxels of `fixed` that lie well inside `moving` at the start.

    Over all of them it would grow by losing voxels of air over the edge of `moving`, and turn the images for that.
    """
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetInterpolator(sitk.sitkLinear)
    rim = [int(np.ceil(_RIM * size)) if size > 4 else 0 for size in moving.GetSize()]
    inside = sitk.Crop(sitk.Cast(moving * 0 + 1, sitk.sitkUInt8), rim, rim)
    method.SetMetricFixedMask(sitk.Resample(inside, fixed, at, sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8))
    share = min(1.0, _SAMPLES / np.prod(fixed.GetSize()))
    if share < 1:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(share, _SEED)
    return method


def _metric(method: sitk.ImageRegistrationMethod, fixed: sitk.Image, moving: sitk.Image, at: sitk.Transform) -> float:
    method.SetInitialTransform(at)
    value: float = _run(method.MetricEvaluate, fixed, moving)
    return value


def _run(step: Callable[[sitk.Image, sitk.Image], Result], fixed: sitk.Image, moving: sitk.Image) -> Result:
    try:
        return step(fixed, moving)
    except RuntimeError as error:
        told = str(error).strip().splitlines()[-1].strip()
        raise BenchError(f"registration failed: {told}", mend="look whether both show the same region") from None


def numbers(matrix: Matrix) -> str:
    """The upper three rows as text, row by row."""
    rows: Sequence[float] = matrix[:3].ravel().tolist()
    return " ".join(f"{value:.10g}" for value in rows)
