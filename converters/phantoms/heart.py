"""A made-up heart in a made-up chest, cut into short-axis slices.

Coordinates in mm, u to the person's left, v to the back, t from the base (0) to the apex (1) of the left ventricle.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from converters.phantoms.scan import (
    Canvas,
    Field,
    Tissue,
    blurred,
    coil_shading,
    ellipsoid,
    generator,
    joined,
    random_field,
    rician,
    turned,
)

RIGHT, MUSCLE, LEFT = 1, 2, 3  # ACDC's codes: RV cavity, LV myocardium, LV cavity

# Diagnosis -> radius of the LV cavity, wall thickness, length of the RV (mm), cavity radius at ES as a share of ED.
_GROUPS = {
    "NOR": ((19, 25), (7.5, 10), (26, 33), (0.60, 0.72)),
    "DCM": ((26, 32), (5.5, 7.5), (26, 34), (0.84, 0.92)),
    "HCM": ((16, 20), (12, 16), (24, 30), (0.50, 0.62)),
    "MINF": ((22, 28), (6.5, 9), (24, 32), (0.74, 0.86)),
    "RV": ((17, 22), (7, 9), (33, 40), (0.65, 0.78)),
}


@dataclasses.dataclass(frozen=True)
class Patient:
    """What stays the same from one phase of the heartbeat to the other."""

    key: tuple[int, int]  # seed, case: the source of every further draw
    group: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    cavity: float  # radii and thicknesses in mm, at the base and at end-diastole
    wall: float
    right: float
    systole: float
    uneven: tuple[float, float]  # thicker wall on one side: mm, degrees
    pose: tuple[float, float, float]  # place of the heart in the image (mm) and turn of the chest (degrees)
    turn: float  # further turn of the heart in the chest
    blood: float
    muscle: float
    gain: float
    shading: float
    noise: float
    blur: float

    @classmethod
    def draw(cls, seed: int, case: int) -> "Patient":
        """The person of that seed and number."""
        rng = generator(seed, "heart", case)
        group = str(rng.choice(list(_GROUPS)))
        cavity, wall, right, systole = (float(rng.uniform(*limits)) for limits in _GROUPS[group])
        pixel = float(np.float32(rng.uniform(1.35, 1.65)))
        across, down = (int(np.clip(2 * round(rng.uniform(160, 200) / pixel / 2), 96, 128)) for _ in range(2))
        dark = (case + int(generator(seed, "dark blood").integers(6))) % 6 == 0  # one patient in six, evenly spread
        contrast = rng.uniform(0.2, 0.65) * (-1 if dark else 1)
        middle = rng.uniform(0.4, 0.6)
        return cls(
            key=(seed, case),
            group=group,
            shape=(across, down, int(rng.integers(6, 10))),
            spacing=(pixel, pixel, float(rng.choice([7.0, 8.0, 10.0]))),
            cavity=cavity,
            wall=wall,
            right=right,
            systole=systole,
            uneven=(float(rng.uniform(0, 0.25) * wall), float(rng.uniform(0, 360))),
            pose=(float(rng.uniform(-18, 18)), float(rng.uniform(-16, 16)), float(rng.uniform(-25, 25))),
            turn=float(rng.uniform(-35, 35)),
            blood=float(middle + contrast / 2),
            muscle=float(middle - contrast / 2),
            gain=float(rng.uniform(180, 1000)),
            shading=float(rng.uniform(0.1, 0.45)),
            noise=float(rng.uniform(0.015, 0.05)),
            blur=float(rng.uniform(0.3, 0.9)),
        )


@dataclasses.dataclass(frozen=True)
class Slices:
    """The heart as distances in mm, negative inside, and the direction of each voxel seen from a cavity's middle."""

    cavity: Field
    outer: Field  # of the left ventricle's wall
    right: Field
    around_left: Field  # radians
    around_right: Field

    @classmethod
    def of(cls, patient: Patient, points: tuple[Field, Field, Field], *, systole: bool) -> "Slices":
        """The heart of a patient at end-diastole or end-systole."""
        rng = generator(*patient.key, "slices")
        u, v = turned(*points[:2], patient.turn)
        shrink, base = (patient.systole, max(0.0, rng.uniform(-0.12, 0.14))) if systole else (1.0, 0.0)
        length = patient.shape[2] - rng.uniform(0.2, 1.3)
        t = (points[2] / patient.spacing[2] / length - base) / (1 - base)
        t = np.where(t < -0.02, 2, t).astype(np.float32)  # above the valves there is no ventricle
        cavity = patient.cavity * shrink
        wall = np.hypot(np.sqrt((patient.cavity + patient.wall) ** 2 - patient.cavity**2), cavity) - cavity
        side = np.cos(np.arctan2(v, u) - np.radians(patient.uneven[1]))
        left = ellipsoid((u, v), (cavity * _taper(t / 0.93),) * 2)
        outer = ellipsoid((u, v), ((cavity + wall) * _taper(t),) * 2) - np.float32(patient.uneven[0]) * side
        length_right = patient.right * (rng.uniform(0.74, 0.86) if systole else 1.0) * _taper(t / rng.uniform(0.7, 0.9))
        depth = length_right * rng.uniform(0.58, 0.78)
        away = (cavity + wall) * _taper(t) + depth * rng.uniform(0.0, 0.3)
        tilted = turned(u + away, v, rng.uniform(-12, 12))
        body = ellipsoid(tilted, (depth, length_right))
        outflow = ellipsoid(
            (tilted[0] - 0.3 * depth, tilted[1] + 0.8 * length_right), (depth * 0.6, length_right * 0.5)
        )
        right = np.maximum(joined(body, outflow + np.float32(60) * np.maximum(t - 0.3, 0), 6), -outer)
        return cls(left, outer, right, np.arctan2(v, u), np.arctan2(tilted[1], tilted[0]))


def _taper(t: Field) -> Field:
    """Radius along the long axis as a share of the radius at the base; 0 past the apex."""
    return np.asarray(np.sqrt(np.maximum(1 - np.clip(t, 0, 2) ** 2.6, 0)), np.float32)


def points_of(patient: Patient) -> tuple[Field, Field, Field]:
    """Coordinates (u, v, distance below the first slice) of every voxel, bent so that no two people are alike."""
    rng = generator(*patient.key, "bend")
    axes = [np.arange(n, dtype=np.float32) * np.float32(s) for n, s in zip(patient.shape, patient.spacing, strict=True)]
    u, v, w = np.meshgrid(axes[0] - axes[0].mean(), axes[1] - axes[1].mean(), axes[2], indexing="ij")
    breath = rng.normal(0, 0.8, (2, patient.shape[2])).astype(np.float32)  # slices come from different breath-holds
    u, v = turned(u - patient.pose[0] + breath[0], v - patient.pose[1] + breath[1], patient.pose[2])
    bend = [random_field(rng, patient.shape, patient.spacing, (28, 28, 40)) for _ in range(2)]
    return u + 2 * bend[0], v + 2 * bend[1], w


def render(patient: Patient, *, systole: bool) -> tuple[Field, Canvas, Slices]:
    """The image (arbitrary units), the canvas with its label map, and the heart's distances, of one phase."""
    points = points_of(patient)
    slices = Slices.of(patient, points, systole=systole)
    canvas = Canvas(points, {"signal": 0.01, "texture": 0.0}, 1.2 * patient.spacing[0])
    _chest(canvas, patient)
    _heart(canvas, patient, slices)
    rng = generator(*patient.key, "coil")
    fine = random_field(rng, patient.shape, patient.spacing, (3.5, 3.5, 8))
    coarse = random_field(rng, patient.shape, patient.spacing, (11, 11, 15))
    image = canvas.maps["signal"] * np.maximum(1 + canvas.maps["texture"] * (fine + coarse), 0)
    image = image * coil_shading(rng, points, patient.spacing, patient.shading)
    image = blurred(image, (patient.blur, patient.blur, 0))
    noise = generator(*patient.key, "noise", "ES" if systole else "ED")
    return rician(noise, image, patient.noise) * np.float32(patient.gain), canvas, slices


def _heart(canvas: Canvas, patient: Patient, slices: Slices) -> None:
    rng = generator(*patient.key, "heart muscle")
    fat, muscle = _tissue(rng.uniform(0.5, 1.0), 0.05), _tissue(patient.muscle, 0.06)
    blood = _tissue(patient.blood, 0.06)
    other_blood = _tissue(patient.blood * rng.uniform(0.8, 1.15), 0.10)  # inflow makes the two sides differ
    whole = joined(slices.outer, slices.right, 4)
    side = np.cos(slices.around_left - np.float32(rng.uniform(0, 2 * np.pi)))
    canvas.paint(whole - np.float32(2) - 3 * np.maximum(side, 0), fat)
    canvas.paint(slices.right - np.float32(2.5), muscle)
    canvas.paint(slices.right, other_blood, RIGHT)
    canvas.paint(slices.outer, muscle, MUSCLE)
    canvas.paint(np.maximum(slices.cavity, slices.outer + np.float32(1.5)), blood, LEFT)
    for angle in rng.uniform(0, 360, 2):  # papillary muscles: dark in the cavity, part of it in the label
        where = (
            np.float32(0.55) * patient.cavity * patient.systole * np.array([np.cos(angle), np.sin(angle)])
        ).tolist()
        offsets = (canvas.points[0] - where[0], canvas.points[1] - where[1])
        canvas.paint(np.maximum(ellipsoid(offsets, (3.2, 2.6)), slices.cavity + 1), muscle, LEFT)
    above = ellipsoid(canvas.points[:2], (patient.cavity, patient.cavity * 0.8))  # the atrium seen past the valves
    canvas.paint(np.where(slices.outer > 500, above, np.float32(1e3)) + 20 * (canvas.points[2] > 15), blood)


def _chest(canvas: Canvas, patient: Patient) -> None:
    rng = generator(*patient.key, "chest")
    u, v, _ = canvas.points
    fat, bright = _tissue(rng.uniform(0.5, 1.1), 0.05), rng.uniform(0.8, 1.1)
    muscle = _tissue(np.clip(patient.muscle * rng.uniform(0.8, 1.3), 0.1, 0.8), 0.1)
    inside = ellipsoid((u - rng.uniform(8, 22), v - rng.uniform(0, 15)), (rng.uniform(68, 86), rng.uniform(64, 80)))
    canvas.paint(inside - np.float32(rng.uniform(14, 30)), fat)
    canvas.paint(inside - np.float32(rng.uniform(5, 9)), muscle)
    canvas.paint(inside, _tissue(rng.uniform(0.02, 0.10), 0.3))  # lung
    for _ in range(14):  # its vessels
        _disc(
            canvas,
            rng,
            (rng.uniform(-10, 70), rng.uniform(-60, 20)),
            (rng.uniform(1, 2.5),) * 2,
            _tissue(patient.blood),
        )
    _belly(canvas, patient, inside, fat)
    for angle in np.linspace(0, 2 * np.pi, 11)[:-1] + rng.uniform(0, 0.5):  # ribs
        where = (15 + 84 * np.cos(angle), 8 + 78 * np.sin(angle))
        _disc(canvas, rng, where, (5, 3), _tissue(rng.uniform(0.05, 0.5)))
    for _ in range(rng.integers(2, 5)):  # aorta and other vessels: round and as bright as the heart's blood
        where = (rng.uniform(-25, 65), rng.uniform(35, 68))
        size = rng.uniform(5, 13)
        _disc(canvas, rng, where, (size + 2, size + 2), muscle)
        _disc(canvas, rng, where, (size, size), _tissue(patient.blood * bright * rng.uniform(0.85, 1.1), 0.08))


def _belly(canvas: Canvas, patient: Patient, inside: Field, fat: Tissue) -> None:
    """What lies below the diaphragm: more of it towards the apex; stomach and bowel look like hearts."""
    rng = generator(*patient.key, "belly")
    u, v, w = canvas.points
    depth = w / (patient.shape[2] * patient.spacing[2])
    edge = rng.uniform(26, 38) - 12 * depth + u * np.float32(rng.uniform(-0.25, 0.15)) - 6 * np.cos(u / 25)
    below = np.maximum(edge - v, inside + 1)
    canvas.paint(below, fat)
    liver = ellipsoid((u + rng.uniform(15, 40), v - rng.uniform(50, 65)), (rng.uniform(40, 60), rng.uniform(26, 36)))
    canvas.paint(np.maximum(below + 1, liver), _tissue(rng.uniform(0.1, 0.5), 0.08))
    for _ in range(rng.integers(2, 5)):  # a hollow organ: wall like heart muscle around food, fluid or gas
        where, size = (rng.uniform(5, 70), rng.uniform(42, 72)), rng.uniform(8, 22)
        radii = (size * rng.uniform(0.8, 1.3), size)
        wall, content = patient.muscle * rng.uniform(0.7, 1.4), rng.uniform(0.02, 0.95)
        angle = rng.uniform(0, 180)
        offsets = turned(u - where[0], v - where[1], angle)
        shape = np.maximum(below + 1, ellipsoid(offsets, radii) + 4 * np.abs(depth - rng.uniform(0.2, 1)))
        canvas.paint(shape, _tissue(wall, 0.08))
        canvas.paint(shape + np.float32(rng.uniform(2.5, 7)), _tissue(content, 0.15))
    spine = ellipsoid((u - 20, v - 74), (17, 14))
    canvas.paint(spine, _tissue(rng.uniform(0.2, 0.6), 0.12))


def _disc(
    canvas: Canvas, rng: np.random.Generator, where: tuple[float, float], radii: Sequence[float], tissue: Tissue
) -> None:
    """A vessel or a bone that runs through the slices at a slant."""
    slant = rng.normal(0, 0.15, 2)
    u, v, w = canvas.points
    canvas.paint(ellipsoid((u - where[0] - slant[0] * w, v - where[1] - slant[1] * w), radii), tissue)


def _tissue(signal: float, texture: float = 0.0) -> Tissue:
    return {"signal": signal, "texture": texture}
