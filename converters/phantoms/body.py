"""The organs of a made-up abdomen: where they lie, how big they are, what covers what.

Coordinates in mm as in DICOM: x to the person's left, y to the back, z up, from the middle of the body. Organs are
flattened along z, so a dozen slices show them all.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from converters.phantoms.scan import Canvas, Field, Tissue, ellipsoid, generator, joined, turned

LIVER, RIGHT_KIDNEY, LEFT_KIDNEY, SPLEEN = 1, 2, 3, 4


@dataclasses.dataclass(frozen=True)
class Person:
    """One made-up person: everything random about the body comes from the key."""

    key: tuple[int, str, int]  # seed, modality, number
    width: float  # half-axes of the trunk, mm
    depth: float
    fat: float  # thickness under the skin, mm

    @classmethod
    def draw(cls, seed: int, modality: str, case: int) -> "Person":
        """The person of that seed, modality and number: the same number in MR and CT is somebody else."""
        rng = generator(seed, "abdomen", modality, case)
        width = float(rng.uniform(148, 182))
        return cls((seed, modality, case), width, width * float(rng.uniform(0.62, 0.74)), float(rng.uniform(6, 24)))

    def rng(self, *what: str) -> np.random.Generator:
        """Random numbers for one aspect of this person."""
        return generator(self.key[0], "abdomen", *self.key[1:], *what)


@dataclasses.dataclass(frozen=True)
class Place:
    """An organ's ellipsoid in a person of middle size: centre, radii (mm), turn in the axial plane (degrees)."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    degrees: float = 0.0

    def of(self, person: Person, rng: np.random.Generator, wander_mm: float = 5.0) -> "Place":
        """The same organ in this person, a little elsewhere and of another size."""
        size = (person.width / 165, person.depth / 112, 1.0)
        moved = (np.multiply(self.centre, size) + rng.normal(0, wander_mm, 3)).tolist()
        grown = (np.multiply(self.radii, size) * rng.uniform(0.85, 1.15, 3)).tolist()
        return Place(tuple(moved), tuple(grown), self.degrees + float(rng.normal(0, 8)))

    def offsets(self, points: Sequence[Field]) -> tuple[Field, Field, Field]:
        """Coordinates of the points in the organ's own frame."""
        x, y, z = (axis - np.float32(c) for axis, c in zip(points, self.centre, strict=True))
        return (*turned(x, y, self.degrees), z)

    def distance(self, points: Sequence[Field]) -> Field:
        """Distance to its surface in mm, negative inside."""
        return ellipsoid(self.offsets(points), self.radii)


def paint(
    canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], loop: Callable[[np.random.Generator], Tissue]
) -> None:
    """Paint the whole body, outside in; `loop` gives the content of one more stretch of bowel."""
    wall, inside = _trunk(canvas, person, tissues)
    _skeleton(canvas, person, tissues, wall)
    _hollow(canvas, person, tissues, loop)
    _spleen(canvas, person, tissues, inside)
    _liver(canvas, person, tissues, inside)
    _kidney(canvas, person, tissues, -1)
    _kidney(canvas, person, tissues, +1)
    _vessels(canvas, person, tissues)


def _trunk(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue]) -> tuple[Field, Field]:
    """Skin, fat, muscle wall and the room inside with the lungs in its upper part; gives wall and room."""
    rng = person.rng("trunk")
    x, y, z = canvas.points
    corner = 1 - 0.07 * np.cos(4 * np.arctan2(y * (person.width / person.depth), x))  # a trunk is no ellipse
    outline = ellipsoid((x / corner, y / corner), (person.width, person.depth))
    canvas.paint(outline, tissues["skin"])
    canvas.paint(outline + np.float32(2.5), tissues["fat"])
    front = np.maximum(-y / person.depth, 0)
    wall = outline + np.float32(person.fat) * (1 + rng.uniform(-0.3, 0.8) * front)
    canvas.paint(wall, tissues["muscle"])
    inside = np.asarray(wall + np.float32(rng.uniform(8, 14)), np.float32)
    canvas.paint(inside, tissues["fat"])
    dome = rng.uniform(26, 42) - 30 * ((x / person.width) ** 2 + np.maximum(y / person.depth, 0) ** 2)
    canvas.paint(np.maximum(inside, dome - z), tissues["lung"])
    return np.asarray(wall, np.float32), inside


def _skeleton(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], wall: Field) -> None:
    rng = person.rng("skeleton")
    x, y, z = canvas.points
    across = np.arctan2(y, x)
    rib = np.cos(11 * across + z / rng.uniform(9, 14) + rng.uniform(0, 6)) - 0.55
    canvas.paint(np.maximum(np.abs(wall + 6) - 3.5, -12 * rib), tissues["bone"])
    size = person.depth / 112
    for side in (-1, 1):
        for centre, radii in (((40, 86), (30, 19)), ((34, 52), (15, 15))):  # back muscles, psoas
            where = Place((side * centre[0], centre[1] * size, 0), (*radii, 400)).of(person, rng, 2)
            shape = ellipsoid(where.offsets(canvas.points)[:2], where.radii[:2])
            canvas.paint(np.maximum(shape, wall), tissues["muscle"])
    spine = (x + rng.normal(0, 2), y - 58 * size)
    disc = np.cos(z / 5.5 + rng.uniform(0, 6)) > 0.8
    canvas.paint(ellipsoid(spine, (22, 17)), tissues["bone"])
    canvas.paint(np.where(disc, ellipsoid(spine, (22, 17)), np.float32(1e3)), tissues["wall"])
    canvas.paint(ellipsoid((spine[0], spine[1] - 34), (7, 13)), tissues["bone"])
    canvas.paint(ellipsoid((spine[0], spine[1] - 25), (9, 8)), tissues["fluid"])
    canvas.paint(ellipsoid((spine[0], spine[1] - 25), (4, 4)), tissues["wall"])


def _hollow(
    canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], loop: Callable[[np.random.Generator], Tissue]
) -> None:
    """Stomach, bowel and pancreas: they lie against the organs and may be as bright as any of them."""
    rng = person.rng("hollow")
    places = [
        Place((62, -38, 16), (42, 34, 26), -30),
        Place((92, 8, -14), (22, 24, 22)),
        Place((-88, -18, -36), (24, 24, 18)),
    ]
    places += [
        Place(
            (rng.uniform(-85, 95), rng.uniform(-75, 5), rng.uniform(-45, -8)),
            tuple(rng.uniform(12, 24, 3)),
            rng.uniform(0, 180),
        )
        for _ in range(rng.integers(6, 11))
    ]
    canvas.paint(Place((12, -8, -6), (52, 13, 12), -15).of(person, rng).distance(canvas.points), tissues["pancreas"])
    for place in places:
        here = place.of(person, rng, 8)
        wall = rng.uniform(2, 5)
        canvas.paint_ellipsoid(here.centre, here.radii, tissues["wall"], degrees=here.degrees)
        thinner = [radius - wall for radius in here.radii]
        canvas.paint_ellipsoid(here.centre, thinner, loop(rng), degrees=here.degrees)


def _spleen(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], inside: Field) -> None:
    rng = person.rng("spleen")
    here = Place((100, 38, 12), (32, 54, 31), 20).of(person, rng)
    hollow = Place((58, 16, 6), (26, 40, 40), 15).of(person, rng)
    shape = np.maximum(here.distance(canvas.points), -hollow.distance(canvas.points))
    canvas.paint(np.maximum(shape, inside + 2), tissues["spleen"], SPLEEN)


def _kidney(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], side: int) -> None:
    """Cortex around medulla, with fat where the vessels enter on the inner side."""
    rng = person.rng("kidney", "left" if side > 0 else "right")
    code = LEFT_KIDNEY if side > 0 else RIGHT_KIDNEY
    here = Place((side * 64, 48, -14 if side > 0 else -20), (29, 34, 34), side * 25).of(person, rng, 4)
    canvas.paint_ellipsoid(here.centre, here.radii, tissues["cortex"], degrees=here.degrees, code=code)
    x, y, z = here.offsets(canvas.points)
    pyramids = np.cos(7 * np.arctan2(y, x) + z / 7) * 2.5
    canvas.paint(
        ellipsoid((x, y, z), [0.72 * r for r in here.radii]) + pyramids.astype(np.float32), tissues["medulla"], code
    )
    sinus = ellipsoid((x + side * here.radii[0] * 0.75, y, z), (here.radii[0] * 0.45, here.radii[1] * 0.3, 13))
    canvas.paint(sinus, tissues["fat"])


def _liver(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue], inside: Field) -> None:
    rng = person.rng("liver")
    right = Place((-74, 2, 8), (68, 72, 44), 12).of(person, rng).distance(canvas.points)
    left = Place((-8, -46, 18), (rng.uniform(45, 85), 34, 22), -10).of(person, rng).distance(canvas.points)
    spine = ellipsoid((canvas.points[0] + 5, canvas.points[1] - 55), (40, 42))
    shape = np.maximum(np.maximum(joined(right, left, 25), -spine), inside + 2)
    canvas.paint(shape, tissues["liver"], LIVER)
    x, y, z = canvas.points
    for _ in range(6):  # vessels: part of the organ, as the readers draw it
        u, v = turned(x + rng.uniform(40, 105), y - rng.uniform(-35, 40), rng.uniform(0, 180))
        tube = ellipsoid((u, v + rng.normal(0, 0.4) * z), (rng.uniform(10, 28), rng.uniform(2, 4)))
        tube = np.maximum(tube, np.abs(z - rng.uniform(-15, 35)) - rng.uniform(5, 14))
        canvas.paint(np.maximum(tube, shape + 4), tissues["blood"], LIVER)
    gall = Place((-48, -46, -14), (14, 20, 15), 20).of(person, rng)
    canvas.paint_ellipsoid(gall.centre, gall.radii, tissues["gall"], degrees=gall.degrees)


def _vessels(canvas: Canvas, person: Person, tissues: Mapping[str, Tissue]) -> None:
    rng = person.rng("vessels")
    size = person.depth / 112
    for x, y, radius in ((13, 28, 10), (-22, 22, 12)):  # aorta, vena cava
        offsets = (canvas.points[0] - x - rng.normal(0, 3), canvas.points[1] - y * size)
        grown = radius * rng.uniform(0.85, 1.15)
        canvas.paint(ellipsoid(offsets, (grown + 1.5, grown + 1.5)), tissues["wall"])
        canvas.paint(ellipsoid(offsets, (grown, grown * rng.uniform(0.75, 1))), tissues["blood"])
