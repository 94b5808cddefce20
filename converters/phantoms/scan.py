"""What makes a made-up scan look like one: soft-edged tissues, texture, coil shading, noise.

Everything random comes from `generator(seed, ...)`, so a case never depends on which others are made.
"""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Field = npt.NDArray[np.float32]
Tissue = Mapping[str, float]  # map of the canvas -> value of this tissue

_KNOTS = 4  # of a cubic B-spline that a place lies between
_SPLINE_DEVIATION = 0.692  # per axis, of a cubic B-spline sum with unit normal weights


def generator(seed: int, *key: str | int) -> np.random.Generator:
    """The random numbers of one thing: the same for the same seed and key, whatever else is made."""
    return np.random.default_rng([seed, zlib.crc32("/".join(map(str, key)).encode())])


def random_field(
    rng: np.random.Generator, shape: Sequence[int], spacing: Sequence[float], scale_mm: float | Sequence[float]
) -> Field:
    """A smooth random field of zero mean and unit deviation that changes over about `scale_mm`.

    A sum of cubic B-splines on a coarse grid: as smooth as a Gaussian blur and much cheaper for long scales.
    """
    scales = np.broadcast_to(scale_mm, len(shape))
    bases = [_spline_basis(n, s / scale) for n, s, scale in zip(shape, spacing, scales, strict=True)]
    field = rng.standard_normal([basis.shape[1] for basis in bases], dtype=np.float32)
    for basis in bases:  # contracts the first axis and appends it last: after all axes the order is restored
        field = _contracted(field, basis)
    return np.asarray(field / _SPLINE_DEVIATION ** len(shape), np.float32)


def _contracted(field: Field, basis: Field) -> Field:
    """The sum over the first axis, (K, ...) and (N, K) to (..., N), the same bits on every processor.

    A matrix product adds in an order that hangs on the processor. Of a row of the basis four values in a row are not 0:
    they are added one after the other, each product and sum rounded once.
    """
    first = np.minimum((basis > 0).argmax(1), max(basis.shape[1] - _KNOTS, 0))
    total = np.zeros((len(basis), *field.shape[1:]), np.float32)
    for knot in range(min(_KNOTS, basis.shape[1])):
        weight = basis[np.arange(len(basis)), first + knot].astype(np.float64)
        total = (weight.reshape(-1, *[1] * (field.ndim - 1)) * field[first + knot] + total).astype(np.float32)
    return np.moveaxis(total, 0, -1)


def _spline_basis(n: int, step: float) -> Field:
    position = np.arange(n, dtype=np.float32) * np.float32(step) + 1
    knots = np.arange(int(np.ceil(position[-1])) + 2, dtype=np.float32)
    t = np.abs(position[:, None] - knots)
    inner = 2 / 3 - t**2 + t**3 / 2
    outer = np.maximum(2 - t, 0) ** 3 / 6
    return np.asarray(np.where(t < 1, inner, outer), np.float32)


def turned(u: Field, v: Field, degrees: float) -> tuple[Field, Field]:
    """Coordinates in a frame that is turned by `degrees` from u towards v."""
    cosine, sine = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    return cosine * u + sine * v, cosine * v - sine * u


def ellipsoid(offsets: Sequence[Field], radii: Sequence[float | Field]) -> Field:
    """Distance in mm to an ellipse or ellipsoid, negative inside; exact at the surface to first order.

    Offsets are coordinates from its centre, one array per axis. A radius may change from slice to slice;
    where one is not positive there is no ellipse, and the distance is large.
    """
    tiny = np.float32(1e-4)
    positive = [np.maximum(np.asarray(radius, np.float32), np.float32(1e-3)) for radius in radii]
    scaled = [offset / radius for offset, radius in zip(offsets, positive, strict=True)]
    least = np.min(np.broadcast_arrays(*positive), axis=0)
    r = np.sqrt(tiny**2 + sum(q * q for q in scaled))
    slope = np.sqrt((tiny / least) ** 2 + sum((q / radius) ** 2 for q, radius in zip(scaled, positive, strict=True)))
    distance = r * (r - 1) / slope
    absent = np.any([np.asarray(radius) <= 0 for radius in np.broadcast_arrays(*radii)], axis=0)
    return np.asarray(np.where(absent, np.float32(1e3), distance), np.float32)


def joined(a: Field, b: Field, blend_mm: float) -> Field:
    """Distance to the union of two shapes whose seam is rounded over `blend_mm`."""
    h = np.maximum(blend_mm - np.abs(a - b), 0) / blend_mm
    return np.asarray(np.minimum(a, b) - h * h * blend_mm / 4, np.float32)


class Canvas:
    """Maps of one patient (signal, water, fat, texture ...) that tissues are painted on, later over earlier.

    Shape: every map and the label are (X, Y, Z). A tissue's edge is a ramp `edge_mm` wide: a voxel that the
    edge crosses holds a mixture, as partial volume does, while the label changes at its middle.
    """

    def __init__(self, points: Sequence[Field], background: Tissue, edge_mm: float) -> None:
        self.points = points
        self.shape = points[0].shape
        self.edge_mm = np.float32(edge_mm)
        self.maps = {name: np.full(self.shape, value, np.float32) for name, value in background.items()}
        self.label = np.zeros(self.shape, np.uint8)

    def paint(self, distance: Field, tissue: Tissue, code: int = 0) -> None:
        """Cover the inside of a shape with a tissue; what lay there loses its label."""
        self._paint((slice(None),) * 3, distance, tissue, code)

    def paint_ellipsoid(
        self, centre: Sequence[float], radii: Sequence[float], tissue: Tissue, *, degrees: float = 0, code: int = 0
    ) -> None:
        """Paint an ellipsoid that is turned by `degrees` in the plane of the first two axes."""
        around = self._box(centre, max(radii) + float(self.edge_mm))
        u, v, w = (axis[around] - np.float32(c) for axis, c in zip(self.points, centre, strict=True))
        if u.size:
            self._paint(around, ellipsoid((*turned(u, v, degrees), w), radii), tissue, code)

    def _paint(self, where: tuple[slice, ...], distance: Field, tissue: Tissue, code: int) -> None:
        cover = np.clip(np.float32(0.5) - distance / self.edge_mm, 0, 1)
        for name, value in tissue.items():
            part = self.maps[name][where]
            part += cover * (np.float32(value) - part)
        self.label[where][distance < 0] = code

    def _box(self, centre: Sequence[float], reach: float) -> tuple[slice, ...]:
        """The part of the grid that lies within `reach` of a centre: most organs fill a small part of it."""
        near = np.ones(self.shape, bool)
        for axis, c in zip(self.points, centre, strict=True):
            near &= np.abs(axis - np.float32(c)) < reach
        found = [np.flatnonzero(near.any(axis=tuple({0, 1, 2} - {k}))) for k in range(3)]
        return tuple(slice(f[0], f[-1] + 1) if f.size else slice(0, 0) for f in found)


def coil_shading(rng: np.random.Generator, points: Sequence[Field], spacing: Sequence[float], strength: float) -> Field:
    """The brightness a receiver coil gives to each voxel: a slope and a slow wave, about 1 on average."""
    reach = [max(float(np.abs(axis).max()), 1.0) for axis in points[:2]]
    slope = sum(rng.normal() * axis / r for axis, r in zip(points[:2], reach, strict=True))
    wave = random_field(rng, points[0].shape, spacing, 120.0)
    return np.exp(np.float32(strength) * (np.float32(0.7) * slope + np.float32(0.5) * wave)).astype(np.float32)


def blurred(image: Field, sigma: Sequence[float]) -> Field:
    """The image as a scanner of finite resolution sees it; sigma in voxels per axis."""
    return np.asarray(ndimage.gaussian_filter(image, sigma, mode="nearest", truncate=3.0), np.float32)


def rician(rng: np.random.Generator, image: Field, sigma: float) -> Field:
    """The image with the noise of a magnitude MR image: never negative, with a floor in air."""
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)
