"""A made-up lump of tissue in a small box: shell, core and spot, the same on no two sides; and its NIfTI files."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from isal import igzip

from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import Canvas, generator

SHELL, CORE, SPOT = 1, 2, 3

Affine = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Lump:
    """Shape: channels and label (X, Y, Z), in the orientation of the affine (4, 4), voxel index -> RAS mm."""

    channels: tuple[npt.NDArray[np.int16], ...]
    label: npt.NDArray[np.uint8]
    affine: Affine


def draw(seed: int, name: str, case: int, channels: int = 1) -> Lump:
    """The lump of one case; its axes run to the left, to the front and to the head, a little turned."""
    rng = generator(seed, name, case)
    shape = (22 + case % 3, 19, 12)
    spacing = np.round(rng.uniform((1.1, 1.1, 2.2), (1.4, 1.4, 2.6)), 2)
    axes = [np.arange(n, dtype=np.float32) * np.float32(s) for n, s in zip(shape, spacing, strict=True)]
    canvas = Canvas(np.meshgrid(*axes, indexing="ij"), {f"c{n}": 40.0 + 20 * n for n in range(channels)}, 1.0)
    extent = np.array([axis[-1] for axis in axes])
    middle = extent * rng.uniform(0.4, 0.5, 3)
    for code, size, aside in (
        (SHELL, 0.36, (0, 0, 0)),
        (CORE, 0.22, (0.06, -0.05, 0.04)),
        (SPOT, 0.11, (-0.02, 0.06, 0.1)),
    ):
        looks = {f"c{n}": 120.0 * (code + 1) - 60.0 * n * (code % 2) for n in range(channels)}
        canvas.paint_ellipsoid(
            (middle + extent * aside).tolist(), (extent * size).tolist(), looks, degrees=20, code=code
        )
    noise = [rng.normal(0, 6, shape) for _ in range(channels)]
    images = tuple(np.rint(canvas.maps[f"c{n}"] + noise[n]).astype(np.int16) for n in range(channels))
    return Lump(images, canvas.label, _affine(rng, spacing))


def _affine(rng: np.random.Generator, spacing: npt.NDArray[np.float64]) -> Affine:
    turn = np.radians(rng.uniform(2, 5))
    affine = np.eye(4)
    affine[:2, :2] = [[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= spacing
    affine[:3, 3] = rng.uniform(-40, 40, 3)
    return np.asarray(affine.astype(np.float32), np.float64)


def save(path: Path, array: npt.NDArray[np.generic], affine: Affine) -> None:
    """One NIfTI file with the phantom mark, gzipped where its name says so; a fourth axis holds channels."""
    import nibabel as nib

    image = nib.Nifti1Image(array, affine)
    image.header["descrip"] = TOKEN.encode()
    image.header.set_xyzt_units("mm")
    image.set_qform(affine, 1)
    data = image.to_bytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(igzip.compress(data, 1, mtime=0) if path.name.endswith(".gz") else data)
