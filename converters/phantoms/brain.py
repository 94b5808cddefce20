"""A made-up head as three MR contrasts see it, with the classes of the MRBrainS challenges; no axis is symmetric.

Coordinates in mm from the middle of the head: x to the right, y to the front, z up.
"""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from isal import igzip

from converters import nifti
from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import Canvas, Field, Tissue, blurred, ellipsoid, generator, random_field, rician

Affine = npt.NDArray[np.float64]
Stored = npt.NDArray[np.int16]
LabelMap = npt.NDArray[np.uint8]
CONTRASTS = ("t1", "ir", "flair")

# Signal in T1, T1 inversion recovery and FLAIR, 1 = the brightest that occurs.
_SIGNALS = {
    "scalp": (0.90, 0.80, 0.60),
    "skull": (0.08, 0.06, 0.05),
    "fluid": (0.15, 0.10, 0.12),
    "cortex": (0.50, 0.38, 0.66),
    "white": (0.78, 0.85, 0.52),
    "deep": (0.60, 0.50, 0.58),
    "lesion": (0.55, 0.42, 0.95),
    "stem": (0.70, 0.72, 0.50),
    "infarct": (0.25, 0.20, 0.35),
    "other": (0.95, 0.90, 0.80),
}
# Painted one over the other: tissue, class, centre and radii in mm.
_PARTS: tuple[tuple[str, int, tuple[float, float, float], tuple[float, float, float]], ...] = (
    ("scalp", 0, (0, 0, 0), (78, 98, 80)),
    ("scalp", 0, (3, 98, -30), (10, 14, 14)),  # nose
    ("skull", 0, (0, 0, 0), (72, 92, 74)),
    ("fluid", 5, (0, 0, 2), (66, 86, 66)),
    ("cortex", 1, (0, 1, 3), (61, 80, 61)),
    ("white", 3, (1, 2, 5), (49, 67, 47)),
    ("deep", 2, (17, 10, 2), (9, 17, 12)),
    ("deep", 2, (-17, 6, 2), (8, 14, 11)),
    ("fluid", 6, (9, -2, 17), (6, 26, 11)),
    ("fluid", 6, (-11, -6, 17), (9, 30, 12)),
    ("lesion", 4, (30, 28, 26), (10, 11, 10)),
    ("lesion", 4, (-30, -22, 30), (7, 8, 8)),
    ("stem", 8, (0, -18, -42), (11, 12, 24)),
    ("cortex", 7, (3, -48, -40), (40, 26, 19)),
)
_PATHOLOGY: tuple[tuple[str, int, tuple[float, float, float], tuple[float, float, float]], ...] = (
    ("infarct", 9, (-36, -40, 10), (12, 13, 11)),
    ("other", 10, (36, -30, 14), (8, 8, 9)),
)


@dataclasses.dataclass(frozen=True)
class Scan:
    """One head on its grid.

    Shape: images and label (X, Y, Z); affine (4, 4), voxel index -> RAS mm.
    """

    images: dict[str, Stored]  # by contrast
    label: LabelMap  # classes 1 to 8, with pathology 9 and 10
    affine: Affine


def scan(key: tuple[int, str, int], affine: Affine, shape: tuple[int, int, int], *, pathology: bool = False) -> Scan:
    """The head of one person.

    Args:
        key: seed, part of the set, number: everything random comes from it.
        affine: voxel index -> RAS mm, of the grid.
        shape: of the grid.
        pathology: with an infarction and another lesion.
    """
    rng = generator(key[0], "brain", *key[1:])
    size, place = rng.uniform(0.94, 1.06), rng.normal(0, 3, 3)
    index = np.stack([*np.indices(shape).reshape(3, -1), np.ones(int(np.prod(shape)))])
    points = [axis.reshape(shape).astype(np.float32) for axis in (affine @ index)[:3] - place[:, None]]
    spacing = np.linalg.norm(affine[:3, :3], axis=0).tolist()
    bent = [axis + np.float32(2) * random_field(rng, shape, spacing, 60) for axis in points]
    canvas = Canvas(bent, dict.fromkeys(CONTRASTS, 0.0), edge_mm=1.2 * spacing[0])
    looks = {name: _look(rng, signals) for name, signals in _SIGNALS.items()}
    for tissue, code, centre, radii in (*_PARTS, *(_PATHOLOGY if pathology else ())):
        offsets = [axis - np.float32(size * c) for axis, c in zip(bent, centre, strict=True)]
        canvas.paint(ellipsoid(offsets, [size * r for r in radii]), looks[tissue], code)
    images = {name: _stored(rng, canvas.maps[name]) for name in CONTRASTS}
    return Scan(images, canvas.label, affine)


def save(path: Path, array: npt.NDArray[np.generic], affine: Affine) -> None:
    """The array as a marked NIfTI, gzipped where the name ends so."""
    data = nifti.encode(array, affine, description=TOKEN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if path.suffix == ".gz" else igzip.decompress(data))


def _look(rng: np.random.Generator, signals: tuple[float, float, float]) -> Tissue:
    return {name: value * float(rng.uniform(0.95, 1.05)) for name, value in zip(CONTRASTS, signals, strict=True)}


def _stored(rng: np.random.Generator, image: Field) -> Stored:
    gain = float(rng.uniform(300, 1500))
    noisy = rician(rng, blurred(image, (0.4, 0.4, 0.1)), 0.02)
    return np.asarray(np.rint(noisy * gain), np.int16)
