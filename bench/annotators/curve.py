"""Scribbles as ScribbleBench simulates them: a smooth curve inside a part, and a piece of contour near its border.

Gotkowski et al., Embarrassingly Simple Scribble Supervision for 3D Medical Segmentation, 2024;
ScribbleBench, scribblebench/scribble_generation.py, which has no seed.
"""

import numpy as np
from scipy import ndimage
from scipy.interpolate import BSpline
from skimage.draw import line as straight
from skimage.measure import find_contours
from skimage.morphology import disk

from bench.annotator import Given, LabelMap, annotator
from bench.planes import EIGHT, Region, Window, parts, present, slices
from converters.dataset import IGNORE

_DEGREE = 2
_SAMPLES = 1001  # of the curve: a step of 0.001


@annotator("scribble", "simulated", "simulated curve scribble")
def curve(given: Given) -> LabelMap:
    """In each slice, for each structure and the background, a curve and a piece of contour in one connected part.

    The part is drawn with a probability proportional to its area. Lengths are pixels, as published.
    """
    strokes = np.full_like(given.label, IGNORE)
    margin = _nib(given) + int(given.options["disk_high"]) + 1
    pen = disk(_nib(given))
    for number, (label, drawn) in enumerate(slices(given, given.label, strokes)):
        for value in present(label):
            rng = given.stream(number, value)
            window, part = _wider(label == value, _one(parts(label == value), rng), margin)
            lines = _curve(part, given, rng) | _contour(part, given, rng)
            drawn[window][ndimage.binary_dilation(lines, pen) & part] = value
    return strokes


def _nib(given: Given) -> int:
    """Half of the pen's thickness, without its middle."""
    return (int(given.options["thickness"]) - 1) // 2


def _one(found: list[tuple[Window, Region]], rng: np.random.Generator) -> tuple[Window, Region]:
    sizes = np.cumsum([part.sum() for _, part in found])
    return found[int(np.searchsorted(sizes, rng.random() * sizes[-1], side="right"))]


def _wider(region: Region, one: tuple[Window, Region], margin: int) -> tuple[Window, Region]:
    """The part in a window with some room around, so that only the border of the image cuts it."""
    window, part = one
    wide = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in window)
    room = np.zeros_like(region)
    room[window] = part
    return wide, room[wide]


def _curve(part: Region, given: Given, rng: np.random.Generator) -> Region:
    """A B-spline of degree 2 with clamped ends, all weights 1; what leaves the part is cut off."""
    points = _control_points(np.argwhere(part), part, int(given.options["control_points"]), rng)
    inner = len(points) - _DEGREE
    knots = np.concatenate([np.zeros(_DEGREE), np.linspace(0, 1, inner + 1), np.ones(_DEGREE)])
    length = np.abs(np.diff(points, axis=0)).sum()
    places = BSpline(knots, points, _DEGREE)(np.linspace(0, 1, max(_SAMPLES, int(2 * length))))
    drawn = np.zeros_like(part)
    drawn[tuple(np.clip(np.rint(places).astype(int), 0, np.array(part.shape) - 1).T)] = True
    return drawn & part


def _control_points(
    pixels: np.typing.NDArray[np.intp], part: Region, n: int, rng: np.random.Generator
) -> np.typing.NDArray[np.float64]:
    """Random pixels of the part, each in sight of the one before.

    One that is out of sight is put at a random place of what is seen on the way to it. The public code means this too,
    but asks whether the way touches the outline in one point, so most points out of sight stay where they are.
    """
    points = [pixels[int(rng.random() * len(pixels))]]
    while len(points) < n:
        rows, columns = straight(*points[-1], *pixels[int(rng.random() * len(pixels))])
        inside = part[rows, columns]
        seen = len(inside) if inside.all() else int(np.argmin(inside))
        last = seen - 1 if inside.all() else int(rng.random() * seen)
        points.append(np.array([rows[last], columns[last]]))
    return np.array(points, float)


def _contour(part: Region, given: Given, rng: np.random.Generator) -> Region:
    """A piece of the contour of the eroded part, rather where it bends; nothing where nothing is left to go round."""
    low, high = (_nib(given) + int(given.options[f"disk_{end}"]) for end in ("low", "high"))
    radius = low + int(rng.random() * (high - low + 1))
    where, share = rng.random(), given.between("length", rng)
    drawn = np.zeros_like(part)
    found = find_contours(ndimage.binary_erosion(part, disk(radius), border_value=1).astype(float), 0.5)
    if not found:
        return drawn
    contour = np.concatenate(found)
    weights = np.cumsum(_bends(contour))
    middle = int(np.searchsorted(weights, where * weights[-1], side="right"))
    length = max(1, int(share * len(contour)))
    piece = np.take(contour, np.arange(length) + middle - length // 2, axis=0, mode="wrap")
    drawn[tuple(np.rint(piece).astype(int).T)] = True
    numbered, _ = ndimage.label(drawn, EIGHT)
    longest: Region = numbered == 1 + int(np.argmax(np.bincount(numbered.ravel())[1:]))
    return longest


def _bends(contour: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    """Absolute curvature at each point of the contour, smoothed, from 0 to 1; 1 everywhere where it bends alike."""
    dx, dy = np.gradient(contour[:, 0]), np.gradient(contour[:, 1])
    speed = np.maximum(dx**2 + dy**2, 1e-6) ** 1.5
    bent = ndimage.gaussian_filter1d(np.abs(dx * np.gradient(dy) - dy * np.gradient(dx)) / speed, 1, mode="nearest")
    span = np.ptp(bent)
    found: np.typing.NDArray[np.float64] = (bent - bent.min()) / span if span > 0 else np.ones_like(bent)
    return found
