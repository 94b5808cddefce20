"""A made-up abdomen as MR (T1 in- and out-of-phase, T2 with fat suppression) and CT see it.

Coordinates in mm as in DICOM: x to the person's left, y to the back, z up, from the middle of the body.
"""

import dataclasses
from typing import Literal

import numpy as np
import numpy.typing as npt

from converters.phantoms.body import LIVER, Person, paint
from converters.phantoms.scan import (
    Canvas,
    Field,
    Tissue,
    blurred,
    coil_shading,
    random_field,
    rician,
    turned,
)

Contrast = Literal["T1", "T2", "CT"]
Range = tuple[float, float]

# Tissue -> water of T1 and its fat share, signal of fat-suppressed T2 (1 = fluid), HU of a contrast-enhanced CT.
_TISSUES: dict[str, tuple[Range, Range, Range, Range]] = {
    "fat": ((0.05, 0.12), (0.80, 1.00), (0.06, 0.25), (-115, -90)),
    "skin": ((0.30, 0.50), (0.00, 0.10), (0.20, 0.40), (-20, 20)),
    "muscle": ((0.22, 0.42), (0.00, 0.04), (0.08, 0.22), (45, 65)),
    "lung": ((0.01, 0.05), (0.00, 0.00), (0.01, 0.04), (-880, -780)),
    "bone": ((0.10, 0.30), (0.20, 0.45), (0.12, 0.35), (180, 380)),
    "cortex": ((0.30, 0.70), (0.00, 0.02), (0.45, 0.95), (140, 200)),
    "medulla": ((0.22, 0.60), (0.00, 0.02), (0.45, 1.00), (105, 170)),
    "liver": ((0.40, 0.80), (0.00, 0.14), (0.12, 0.45), (105, 145)),
    "spleen": ((0.20, 0.58), (0.00, 0.02), (0.35, 0.90), (100, 140)),
    "blood": ((0.08, 0.85), (0.00, 0.00), (0.03, 0.30), (130, 230)),
    "fluid": ((0.10, 0.25), (0.00, 0.00), (0.85, 1.10), (0, 15)),
    "gall": ((0.10, 0.75), (0.00, 0.00), (0.70, 1.10), (0, 25)),
    "wall": ((0.28, 0.50), (0.00, 0.05), (0.22, 0.50), (55, 95)),
    "content": ((0.03, 0.85), (0.00, 0.10), (0.05, 1.05), (-30, 120)),
    "pancreas": ((0.45, 0.75), (0.02, 0.15), (0.20, 0.50), (80, 120)),
}
_TEXTURE = {"lung": 0.4, "fat": 0.06, "content": 0.15, "pancreas": 0.12, "bone": 0.12, "cortex": 0.05, "fluid": 0.02}
_BACKGROUND: dict[Contrast, Tissue] = {
    "T1": {"water": 0.0, "fat": 0.0, "texture": 0.0},
    "T2": {"signal": 0.0, "texture": 0.0},
    "CT": {"signal": -1000.0, "texture": 0.0},
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where the voxels lie: (columns, rows, slices); columns run along `row_direction` as DICOM calls it."""

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]  # mm between columns, rows, slices
    origin: tuple[float, float, float]  # first voxel, mm from the middle of the body
    tilt: float = 0.0  # degrees by which the stack leans back about x

    def axes(self) -> npt.NDArray[np.float64]:
        """Directions of columns, rows and slices as the rows of a rotation, in DICOM's patient coordinates."""
        cosine, sine = np.cos(np.radians(self.tilt)), np.sin(np.radians(self.tilt))
        return np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])

    def points(self) -> tuple[Field, Field, Field]:
        """Coordinates of every voxel; each of shape (columns, rows, slices)."""
        steps = np.meshgrid(*(np.arange(n) * s for n, s in zip(self.shape, self.spacing, strict=True)), indexing="ij")
        x, y, z = (sum(a * s for a, s in zip(axis, steps, strict=True)) for axis in self.axes().T)
        first = self.origin
        return (x + first[0]).astype(np.float32), (y + first[1]).astype(np.float32), (z + first[2]).astype(np.float32)


def render_t1(person: Person, grid: Grid) -> tuple[Field, Field, npt.NDArray[np.uint8]]:
    """In-phase and out-of-phase image and the label map.

    In phase water and fat add up; out of phase they cancel, which draws the dark line around organs in fat.
    """
    canvas = _paint(person, grid, "T1")
    texture = _texture(person, grid, canvas, "T1")
    water, fat = canvas.maps["water"] * texture, canvas.maps["fat"] * texture
    shading = coil_shading(person.rng("coil T1"), canvas.points, grid.spacing, 0.35)
    phases = (water + fat, np.abs(water - fat) * np.float32(person.rng("decay").uniform(0.85, 1.1)))
    inphase, outphase = (_mr(person, image * shading, f"T1 {n}") for n, image in enumerate(phases))
    return inphase, outphase, canvas.label


def render_t2(person: Person, grid: Grid) -> tuple[Field, npt.NDArray[np.uint8]]:
    """Fat-suppressed T2 image and the label map."""
    canvas = _paint(person, grid, "T2")
    shading = coil_shading(person.rng("coil T2"), canvas.points, grid.spacing, 0.35)
    image = canvas.maps["signal"] * _texture(person, grid, canvas, "T2") * shading
    return _mr(person, image, "T2"), canvas.label


def render_ct(person: Person, grid: Grid) -> tuple[Field, npt.NDArray[np.uint8]]:
    """CT in HU and the label map, which holds the liver alone."""
    canvas = _paint(person, grid, "CT")
    rng = person.rng("noise CT")
    grain = blurred(rng.standard_normal(grid.shape, dtype=np.float32), (0.6, 0.6, 0))
    fine = random_field(rng, grid.shape, grid.spacing, (8, 8, 8))
    image = blurred(canvas.maps["signal"], (0.5, 0.5, 0)) + 60 * canvas.maps["texture"] * fine + 25 * grain
    return np.maximum(image, -1000), np.where(canvas.label == LIVER, canvas.label, 0).astype(np.uint8)


def _mr(person: Person, image: Field, name: str) -> Field:
    rng = person.rng("scanner", name[:2])
    gain, noise, blur = rng.uniform(200, 1200), rng.uniform(0.012, 0.04), rng.uniform(0.3, 0.7)
    return rician(person.rng("noise", name), blurred(image, (blur, blur, 0.2)), noise) * np.float32(gain)


def _texture(person: Person, grid: Grid, canvas: Canvas, name: str) -> Field:
    rng = person.rng("texture", name)
    fine = random_field(rng, grid.shape, grid.spacing, (6, 6, 9))
    coarse = random_field(rng, grid.shape, grid.spacing, 22)
    return np.maximum(1 + canvas.maps["texture"] * (fine + np.float32(0.7) * coarse), 0)


def _tissues(person: Person, contrast: Contrast) -> dict[str, Tissue]:
    """What each tissue of this person looks like: wide ranges, so organs change places in brightness."""
    rng = person.rng("tissues", contrast)
    return {name: _tissue(rng, name, contrast) for name in _TISSUES}


def _tissue(rng: np.random.Generator, name: str, contrast: Contrast) -> Tissue:
    water, share, t2, hu = (float(rng.uniform(*limits)) for limits in _TISSUES[name])
    texture = _TEXTURE.get(name, 0.08)
    if contrast == "T1":
        return {"water": water, "fat": share, "texture": texture}
    return {"signal": t2 if contrast == "T2" else hu, "texture": texture}


def _paint(person: Person, grid: Grid, contrast: Contrast) -> Canvas:
    """The body on its grid; another contrast of the same person lies a breath away."""
    breath = person.rng("breath", contrast).normal(0, (1.5, 1.5, 4))
    x, y, z = (axis - np.float32(b) for axis, b in zip(grid.points(), breath, strict=True))
    x, y = turned(x, y, person.rng("pose").uniform(-8, 8))
    rng = person.rng("bend", contrast)
    bends = [
        5 * random_field(rng, grid.shape, grid.spacing, 70) + 1.5 * random_field(rng, grid.shape, grid.spacing, 28)
        for _ in range(3)
    ]
    canvas = Canvas((x + bends[0], y + bends[1], z + bends[2]), _BACKGROUND[contrast], 1.3 * grid.spacing[0])
    paint(canvas, person, _tissues(person, contrast), lambda rng: _tissue(rng, "content", contrast))
    return canvas
