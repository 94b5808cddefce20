"""A made-up head: which tissue is where, in mm to the right, front and top of its middle; no two sides are alike."""

import dataclasses

import numpy as np
import numpy.typing as npt

from converters.phantoms.scan import Field, generator

AIR, SKIN, BONE, FLUID, GREY_LEFT, WHITE_LEFT, GREY_RIGHT, WHITE_RIGHT, VENTRICLE_LEFT, VENTRICLE_RIGHT, CAPSULE = (
    range(11)
)
Codes = npt.NDArray[np.uint8]
_SIZES = (0.92, 1.06)  # of the drawn shape, least and most


@dataclasses.dataclass(frozen=True)
class Head:
    """One made-up person's head, in the scanner."""

    key: tuple[int, int]  # seed, number
    middle: tuple[float, float, float]  # RAS mm
    size: float
    ventricles: float = 1.0  # factor of their radii
    shrunk_mm: float = 0.0  # of the radii of the brain; fluid takes its place

    @classmethod
    def draw(cls, seed: int, number: int) -> "Head":
        """The head of that seed and number."""
        rng = generator(seed, "head", number)
        x, y, z = (float(value) for value in rng.uniform((-6, -8, -10), (6, 12, 10)))
        return cls((seed, number), (x, y, z), float(rng.uniform(*_SIZES)))

    def of(self, male: bool, age: float) -> "Head":
        """The same head with a signal of its owner in it: sex in its size, age in ventricles and outer fluid.

        A man's is 1.00 to 1.06 of the drawn shape, a woman's 0.90 to 0.96, in the order of the sizes drawn. From 20 to
        86 years the radii of the ventricles grow from 0.75 to 1.3 of the shape and those of the brain lose 4 mm. The
        directions are those of people, in whom sizes of both sexes overlap and ages differ much less.
        """
        place = (self.size - _SIZES[0]) / (_SIZES[1] - _SIZES[0])
        years = (age - 20) / 66
        size = (1.0 if male else 0.90) + 0.06 * place
        return dataclasses.replace(self, size=size, ventricles=0.75 + 0.55 * years, shrunk_mm=4 * years)

    def tissues(self, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> Codes:
        """The tissue of every voxel of a grid, (X, Y, Z)."""
        index = np.indices(shape, np.float32).reshape(3, -1)
        world = affine[:3, :3].astype(np.float32) @ index + affine[:3, 3:].astype(np.float32)
        points = (world - np.array(self.middle, np.float32)[:, None]) / np.float32(self.size)
        rng = generator(*self.key, "ventricles")
        wide = rng.uniform(0.9, 1.3, 2) * self.ventricles
        less, grown = self.shrunk_mm, self.ventricles
        codes = np.zeros(points.shape[1], np.uint8)
        right = points[0] > 0
        shapes = (
            ((0, 98, -28), (14, 16, 18), SKIN),  # the nose
            ((0, -18, -95), (46, 46, 60), SKIN),  # the neck
            ((0, 0, 0), (74, 96, 88), SKIN),
            ((0, 0, 2), (68, 89, 81), BONE),
            ((0, 0, 3), (64, 84, 76), FLUID),
            ((0, 0, 4), (60 - less, 80 - less, 72 - less), GREY_LEFT),
            ((0, -2, 6), (50 - less, 68 - less, 58 - less), WHITE_LEFT),
            ((-14, -4, 10), (7 * wide[0], 30 * grown, 13 * grown), VENTRICLE_LEFT),
            ((15, -8, 12), (11 * wide[1], 36 * grown, 16 * grown), VENTRICLE_RIGHT),
            ((-62, 42, 44), (13, 13, 13), CAPSULE),  # tells left, front and top
        )
        for centre, radii, code in shapes:
            inside = _inside(points, centre, radii)
            codes[inside] = code
            if code in (GREY_LEFT, WHITE_LEFT):
                codes[inside & right] = GREY_RIGHT if code == GREY_LEFT else WHITE_RIGHT
        return codes.reshape(shape)


def _inside(points: Field, centre: tuple[float, ...], radii: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    offsets = (points - np.array(centre, np.float32)[:, None]) / np.array(radii, np.float32)[:, None]
    return np.asarray((offsets * offsets).sum(axis=0) < 1)
