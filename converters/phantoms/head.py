"""A made-up head: which tissue is where, in mm to the right, front and top of its middle; no two sides are alike."""

import dataclasses

import numpy as np
import numpy.typing as npt

from converters.phantoms.scan import Field, generator

AIR, SKIN, BONE, FLUID, GREY_LEFT, WHITE_LEFT, GREY_RIGHT, WHITE_RIGHT, VENTRICLE_LEFT, VENTRICLE_RIGHT, CAPSULE = (
    range(11)
)
Codes = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Head:
    """One made-up person's head, in the scanner."""

    key: tuple[int, int]  # seed, number
    middle: tuple[float, float, float]  # RAS mm
    size: float

    @classmethod
    def draw(cls, seed: int, number: int) -> "Head":
        """The head of that seed and number."""
        rng = generator(seed, "head", number)
        x, y, z = (float(value) for value in rng.uniform((-6, -8, -10), (6, 12, 10)))
        return cls((seed, number), (x, y, z), float(rng.uniform(0.92, 1.06)))

    def tissues(self, shape: tuple[int, int, int], affine: npt.NDArray[np.float64]) -> Codes:
        """The tissue of every voxel of a grid, (X, Y, Z)."""
        index = np.indices(shape, np.float32).reshape(3, -1)
        world = affine[:3, :3].astype(np.float32) @ index + affine[:3, 3:].astype(np.float32)
        points = (world - np.array(self.middle, np.float32)[:, None]) / np.float32(self.size)
        rng = generator(*self.key, "ventricles")
        wide = rng.uniform(0.9, 1.3, 2)
        codes = np.zeros(points.shape[1], np.uint8)
        right = points[0] > 0
        shapes = (
            ((0, 98, -28), (14, 16, 18), SKIN),  # the nose
            ((0, -18, -95), (46, 46, 60), SKIN),  # the neck
            ((0, 0, 0), (74, 96, 88), SKIN),
            ((0, 0, 2), (68, 89, 81), BONE),
            ((0, 0, 3), (64, 84, 76), FLUID),
            ((0, 0, 4), (60, 80, 72), GREY_LEFT),
            ((0, -2, 6), (50, 68, 58), WHITE_LEFT),
            ((-14, -4, 10), (7 * wide[0], 30, 13), VENTRICLE_LEFT),
            ((15, -8, 12), (11 * wide[1], 36, 16), VENTRICLE_RIGHT),
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
