"""A made-up chest as a film shows it, with the masks of five structures; neither side mirrors the other.

Coordinates in mm from the top left corner of the film: u to the person's left, v downwards.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from converters.phantoms.scan import Field, ellipsoid, generator, random_field, turned
from converters.radiograph import HIGHEST, MM, SIDE

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint16]
DRAWN = 1024  # pixels along a side of a mask
_COARSE = 512  # pixels along a side of what the film is blown up from


@dataclasses.dataclass(frozen=True)
class Chest:
    """One film and its masks.

    Shape: film (2048, 2048) and masks (1024, 1024), columns first; high is bright.
    """

    film: Pixels
    masks: dict[str, Mask]


@dataclasses.dataclass(frozen=True)
class _Shape:
    """An ellipse: centre and radii in mm, turned by some degrees."""

    centre: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0.0


_DELINEATED = ("heart", "left lung", "right lung", "left clavicle", "right clavicle")
_SHAPES = {
    "trunk": _Shape((178, 250), (162, 240)),
    "mediastinum": _Shape((176, 150), (32, 160)),
    "right lung": _Shape((112, 170), (46, 108), -4),
    "left lung": _Shape((243, 164), (42, 100), 5),
    "heart": _Shape((194, 226), (56, 44), 30),
    "right clavicle": _Shape((122, 82), (46, 6.5), -14),
    "left clavicle": _Shape((236, 77), (44, 6), 13),
    "liver": _Shape((112, 318), (66, 52)),
    "nodule": _Shape((92, 150), (6, 7)),
}


def chest(key: tuple[int, str], *, joined: bool = False) -> Chest:
    """The film of one person.

    Args:
        key: seed and name of the film; those of JPCLN have a nodule.
        joined: the lungs reach over each other in front of the heart, which made-up ones do not otherwise.
    """
    rng = generator(key[0], "chest", key[1])
    size, place = float(rng.uniform(0.95, 1.04)), rng.normal(0, 4, 2)
    masks = _masks(_distances(_DELINEATED, DRAWN, size, place), joined)
    film = _film(rng, _distances(_SHAPES, _COARSE, size, place), key[1].startswith("JPCLN"))
    return Chest(film, masks)


def _distances(names: Iterable[str], side: int, size: float, place: npt.NDArray[np.float64]) -> dict[str, Field]:
    """Distance to the edge of each shape in mm, negative inside; of `side` x `side` pixels."""
    centres = ((np.arange(side) + 0.5) * MM / side - MM / 2).astype(np.float32)
    u, v = ((centres - np.float32(d)) / np.float32(size) + np.float32(MM / 2) for d in place)
    found = {}
    for name in names:
        shape = _SHAPES[name]
        offsets = (u[:, None] - np.float32(shape.centre[0]), v[None, :] - np.float32(shape.centre[1]))
        found[name] = ellipsoid(turned(*offsets, shape.degrees), shape.radii)
    return found


def _masks(distance: dict[str, Field], joined: bool) -> dict[str, Mask]:
    """As SCR draws them: the lungs end at the heart, but for a rim of a few mm, and go on behind the clavicles."""
    heart = distance["heart"] < 0
    lungs = {name: (distance[name] < 0) & (distance["heart"] > -3) for name in ("left lung", "right lung")}
    if joined:
        middle = np.zeros_like(heart)
        middle[DRAWN // 2 - 12 : DRAWN // 2 + 12, 360:420] = True
        lungs = {name: lung | middle for name, lung in lungs.items()}
    clavicles = {name: distance[name] < 0 for name in ("left clavicle", "right clavicle")}
    return {"heart": heart, **lungs, **clavicles}


def _film(rng: np.random.Generator, distance: dict[str, Field], nodule: bool) -> Pixels:
    brightness = np.full((_COARSE, _COARSE), 0.03, np.float32)
    for name, value, cover in (
        ("trunk", 0.55, 1.0),
        ("right lung", 0.20, 0.9),
        ("left lung", 0.24, 0.9),
        ("mediastinum", 0.80, 0.8),
        ("heart", 0.78, 0.8),
        ("liver", 0.88, 0.95),
        ("right clavicle", 0.70, 0.35),
        ("left clavicle", 0.70, 0.35),
        *((("nodule", 0.75, 0.4),) if nodule else ()),
    ):
        ramp = np.clip(np.float32(0.5) - distance[name] / np.float32(3), 0, 1) * np.float32(cover)
        brightness += ramp * (np.float32(value * rng.uniform(0.95, 1.05)) - brightness)
    step = MM / _COARSE
    brightness *= 1 + np.float32(0.04) * random_field(rng, brightness.shape, (step, step), 40)
    brightness = np.asarray(ndimage.gaussian_filter(brightness, 1.0), np.float32) * np.float32(HIGHEST)
    film = brightness.repeat(SIDE // _COARSE, axis=0).repeat(SIDE // _COARSE, axis=1)
    film += np.float32(25) * rng.standard_normal(film.shape, dtype=np.float32)
    return np.asarray(np.clip(film, 0, HIGHEST), np.uint16)
