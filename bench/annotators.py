"""Who draws the labels: pure functions from a case's reference to what training may see. 255 is "not annotated".

`docs/protocols.md` defines each with its version. In-plane means across the slice axis; all lengths are mm.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize

from bench.walk import longest_walk
from converters.dataset import IGNORE
from converters.description import Kind, Origin
from converters.errors import BenchError

LabelMap = npt.NDArray[np.uint8]  # (X, Y, Z), RAS+
Plane = npt.NDArray[np.float64]  # one slice
Region = npt.NDArray[np.bool_]  # voxels, mostly of one slice
Window = tuple[slice, ...]

_EIGHT = np.ones((3, 3), bool)
_SMOOTH = 2.0  # pixels: half-widths jump from ridge to ridge


@dataclasses.dataclass(frozen=True)
class Given:
    """One case as an annotator gets it.

    Shape: both label maps (X, Y, Z) RAS+. The generator belongs to this case alone, so that the result depends on no
    other case. Only its `random` is drawn from, the stream that numpy is least likely ever to change.
    """

    label: LabelMap  # the reference; all 255 where there is none
    expert: LabelMap | None  # the dataset's expert scribbles
    spacing: tuple[float, float, float]
    slice_axis: int
    rng: np.random.Generator
    options: Mapping[str, float]

    @property
    def plane_spacing(self) -> tuple[float, float]:
        """Spacing of the two axes of a slice."""
        first, second = (s for axis, s in enumerate(self.spacing) if axis != self.slice_axis)
        return first, second

    def between(self, name: str) -> float:
        """A uniform draw between the options `<name>_low` and `<name>_high`."""
        low, high = self.options[f"{name}_low"], self.options[f"{name}_high"]
        return low + (high - low) * self.rng.random()


Draw = Callable[[Given], LabelMap]


@dataclasses.dataclass(frozen=True)
class Annotator:
    """A way to draw, and what its label maps are called."""

    draw: Draw
    kind: Kind
    origin: Origin | None  # None: that of the label it works from
    told: str  # in records and tables


ANNOTATORS: dict[str, Annotator] = {}  # function name -> annotator


def annotator(kind: Kind, origin: Origin | None, told: str = "") -> Callable[[Draw], Draw]:
    """Make a function an annotator that a protocol can name; `told` is "<origin> <kind>" when not given."""

    def note(draw: Draw) -> Draw:
        ANNOTATORS[draw.__name__] = Annotator(draw, kind, origin, told or f"{origin} {kind}")
        return draw

    return note


@annotator("dense", None, "dense")
def dense(given: Given) -> LabelMap:
    """The reference itself."""
    return given.label


@annotator("scribble", "expert", "expert")
def expert(given: Given) -> LabelMap:
    """The strokes an expert drew.

    Raises:
        BenchError: the case has none.
    """
    if given.expert is None:
        raise BenchError("the case has no expert annotation")
    return given.expert


@annotator("scribble", "simulated")
def scribble(given: Given) -> LabelMap:
    """Simulated scribbles: in each slice a stroke for each connected part of a structure, and background around them.

    A stroke is a random walk along the skeleton of the eroded part. Round parts have next to no skeleton, and people
    draw a loop in them: there the walk follows the outline of the eroded part.
    After the generator of WSL4MIS (Luo et al., MICCAI 2022); what differs is in docs/protocols.md.
    """
    strokes = np.full_like(given.label, IGNORE)
    shadow = _shadow(given)
    for label, drawn in _slices(given, given.label, strokes):
        for value in np.unique(label[label != IGNORE]):
            region = label == value
            room = region if value else _near_foreground(label, shadow, given)
            for window, part in _parts(room, given.options["least_part"]):
                drawn[window][_stroke(part, given)] = value
    return strokes


@annotator("noisy", "simulated", "simulated noise")
def boundary(given: Given) -> LabelMap:
    """A dense label with wrong outlines: each structure dilated, eroded or distorted, alike in all its slices.

    The signed distance of each structure is shifted; where one of them outweighs the background's own distance there
    is foreground, and the structure with the largest has it: no gap opens between neighbours. Towards the background
    an outline moves by at most half of the structure's half-width, between two structures by half of the half-width
    of the one that loses, so that nothing vanishes from any slice. Kinds and shares after the label noise of PyMIC's
    JSRT example (Wang et al., CMPB 2023), which is for one structure; the equations are in docs/protocols.md.
    """
    noisy = given.label.copy()
    shadow = _shadow(given)
    if not shadow.any():
        return noisy
    window = _window(shadow, given)
    codes = [int(code) for code in np.unique(noisy) if code not in (0, IGNORE)]
    slips = {code: _slip(shadow[window].shape, given) for code in codes}
    for label, out in _slices(given, given.label, noisy):
        out[window] = _slipped(label[window], slips, given)
    return noisy


def _slices(given: Given, *volumes: LabelMap) -> Iterable[Sequence[LabelMap]]:
    return zip(*(np.moveaxis(volume, given.slice_axis, 0) for volume in volumes), strict=True)


def _foreground(label: LabelMap) -> Region:
    found: Region = (label != 0) & (label != IGNORE)
    return found


def _shadow(given: Given) -> Region:
    """Where any slice has a structure."""
    found: Region = np.any(_foreground(given.label), axis=given.slice_axis)
    return found


def _depth(region: Region, spacing: tuple[float, float]) -> Plane:
    """Distance of each pixel of the region to the nearest outside it; the image ends there too."""
    depth: Plane = ndimage.distance_transform_edt(np.pad(region, 1), sampling=spacing)
    return depth[1:-1, 1:-1]


# --- scribble


def _near_foreground(label: LabelMap, shadow: Region, given: Given) -> Region:
    """Background close to the structures; in a slice without any, where other slices have them."""
    background, foreground = label == 0, _foreground(label)
    near = shadow
    if foreground.any():
        distance: Plane = ndimage.distance_transform_edt(~foreground, sampling=given.plane_spacing)
        near = distance <= given.options["band_mm"]
    room: Region = background & near
    return room if room.any() else background


def _parts(region: Region, least: float) -> list[tuple[Window, Region]]:
    """Connected parts with at least that share of the largest one's area, each in its own window."""
    numbered, n = ndimage.label(region, _EIGHT)
    areas = np.bincount(numbered.ravel(), minlength=n + 1)[1:]
    boxes: list[Window] = ndimage.find_objects(numbered)
    return [(box, numbered[box] == i + 1) for i, box in enumerate(boxes) if areas[i] >= least * areas.max()]


def _stroke(part: Region, given: Given) -> Region:
    """One stroke inside the part, as wide as the brush; never empty."""
    depth = _depth(part, given.plane_spacing)
    radius = float(depth.max())
    core = depth >= given.between("depth") * _half_width(depth)
    pixel = float(np.mean(given.plane_spacing))
    path = longest_walk(np.asarray(skeletonize(core, method="lee")) > 0, given.rng)
    if len(path) * pixel < given.options["round_below"] * radius:
        path = longest_walk(core & ~ndimage.binary_erosion(core), given.rng)
        path = path[: max(1, round(given.between("loop") * len(path)))]
    line = np.zeros_like(part)
    line[tuple(np.transpose(path))] = True
    distance: Plane = ndimage.distance_transform_edt(~line, sampling=given.plane_spacing)
    return part & (distance <= given.options["brush_mm"] / 2)


# --- boundary


def _window(shadow: Region, given: Given) -> Window:
    """The box around all foreground that a slip can reach."""
    reach = given.options["radius_high"]
    box = ndimage.find_objects(shadow.astype(np.uint8))[0]
    margins = [int(np.ceil(reach / spacing)) + 2 for spacing in given.plane_spacing]
    return tuple(slice(max(0, side.start - m), side.stop + m) for side, m in zip(box, margins, strict=True))


def _slip(size: tuple[int, ...], given: Given) -> tuple[float, Plane]:
    """How far a structure's outline is off, in mm, and which way at each pixel: 1 outward, -1 inward."""
    kind = given.rng.random()
    radius = given.between("radius")
    if kind < given.options["dilate"]:
        return radius, np.ones(size)
    if kind < given.options["dilate"] + given.options["erode"]:
        return radius, -np.ones(size)
    sigma = [given.options["wave_mm"] / spacing for spacing in given.plane_spacing]
    wave: Plane = ndimage.gaussian_filter(given.rng.random(size) - 0.5, sigma)
    return radius, np.clip((wave - wave.mean()) / wave.std(), -1, 1)


def _slipped(label: LabelMap, slips: Mapping[int, tuple[float, Plane]], given: Given) -> LabelMap:
    """One slice with its outlines shifted."""
    codes = [int(code) for code in np.unique(label) if code not in (0, IGNORE)]
    if not codes:
        return label
    inside = [_signed_distance(label == code, given.plane_spacing) for code in codes]
    widths = [_half_width(distance) for distance in inside]
    claims, shares = [], []
    for i, (code, distance, width) in enumerate(zip(codes, inside, widths, strict=True)):
        radius, way = slips[code]
        nearest = np.min([*widths[:i], *widths[i + 1 :], np.full(label.shape, np.inf)], axis=0)
        # Twice, as the distance to the other side of an outline stands against it: the outline moves by the shift.
        claims.append(distance + 2 * np.clip(radius * way, -width / 2, distance.max() / 2))
        shares.append(distance + 2 * np.clip(radius * way, -width / 4, nearest / 4))
    foreground = np.max(claims, axis=0) > _signed_distance(label == 0, given.plane_spacing)
    noisy = np.where(foreground, np.array(codes, np.uint8)[np.argmax(shares, axis=0)], np.uint8(0))
    noisy[label == IGNORE] = IGNORE
    return noisy


def _half_width(distance: Plane) -> Plane:
    """Half the structure's width at the nearest point of its ridge: the radius inscribed there."""
    ridge = (distance > 0) & (distance >= ndimage.maximum_filter(distance, 3))
    nearest = ndimage.distance_transform_edt(~ridge, return_distances=False, return_indices=True)
    smooth: Plane = ndimage.gaussian_filter(distance[tuple(nearest)], _SMOOTH)
    widths: Plane = np.minimum(smooth, distance.max())
    return widths


def _signed_distance(region: Region, spacing: tuple[float, float]) -> Plane:
    """Distance to the outline, which lies half a pixel from either side: positive inside, negative outside."""
    half = min(spacing) / 2
    if region.all() or not region.any():
        return np.full(region.shape, np.inf if region.any() else -np.inf)
    inner: Plane = ndimage.distance_transform_edt(region, sampling=spacing)
    outer: Plane = ndimage.distance_transform_edt(~region, sampling=spacing)
    return np.where(region, inner - half, half - outer)
