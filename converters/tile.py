"""One slice of a case as a small picture: the shape of the body, its right on the left, label outlines in colour."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from converters.dataset import IGNORE, Geometry
from converters.description import LabelInfo

TILE = 224  # pixels of a picture's longer side
_STROKE_OF_BACKGROUND = "#ffffff"
_LETTERS = "#ffff80"
# For codes without a colour of their own; told apart by most colour-blind people (Okabe and Ito).
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


Voxels = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A row of pictures: a channel, with or without a label map on it. Shape: (X, Y, Z), RAS+."""

    title: str
    image: Voxels
    window: tuple[float, float]  # black and white
    label: npt.NDArray[np.uint8] | None = None


@dataclasses.dataclass(frozen=True)
class Grid:
    """What the rows share."""

    spacing: tuple[float, float, float]
    slice_axis: int
    structures: Mapping[str, tuple[int, ...]]  # name -> codes
    colours: Mapping[str, str]  # name -> "#rrggbb", where the dataset has one

    @classmethod
    def of(
        cls, geometry: Geometry, labels: Mapping[str, int | tuple[int, ...]], info: Mapping[str, LabelInfo]
    ) -> "Grid":
        """The grid of a case of a dataset with these labels."""
        codes = {name: (code,) if isinstance(code, int) else code for name, code in labels.items()}
        structures = {name: code for name, code in codes.items() if code != (0,)}
        colours = {name: info[name].colour for name in structures if name in info}
        return cls(geometry.spacing_mm, geometry.slice_axis, structures, colours)

    def ink(self, name: str) -> str:
        """The colour a structure is drawn in."""
        return self.colours.get(name) or _ink(self.structures[name][0])

    @property
    def left(self) -> str:
        """What lies on the left of a picture: the person's right, or the front."""
        return "A" if self.slice_axis == 0 else "R"

    @property
    def right(self) -> str:
        """What lies on the right of a picture: the person's left, or the back."""
        return "P" if self.slice_axis == 0 else "L"


def tile(layer: Layer, index: int, grid: Grid, side: int = TILE) -> Image.Image:
    """One slice with the outlines of its label; its longer side has `side` pixels."""
    shown = upright(layer.image, index, grid.slice_axis).astype(np.float32)
    across, up = (s for axis, s in enumerate(grid.spacing) if axis != grid.slice_axis)
    width, height = shown.shape[1] * across, shown.shape[0] * up
    scale = side / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    low, high = layer.window
    levels = np.clip((shown - low) / max(high - low, 1e-6), 0, 1) * 255
    picture = Image.fromarray(levels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    canvas = np.array(picture.convert("RGB"))
    if layer.label is not None:
        small = Image.fromarray(np.ascontiguousarray(upright(layer.label, index, grid.slice_axis)))
        label = np.asarray(small.resize(size, Image.Resampling.NEAREST))
        for inside, colour in _marked(label, grid):
            canvas[outline(inside)] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return Image.fromarray(canvas)


def square(picture: Image.Image, grid: Grid, side: int) -> Image.Image:
    """The picture in the middle of a black square, with the letters of both sides of the body at its rims."""
    sheet = Image.new("RGB", (side, side), "black")
    sheet.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    draw = ImageDraw.Draw(sheet)
    for at, letter, anchor in ((2, grid.left, "lm"), (side - 2, grid.right, "rm")):
        # On black of its own: a bright image would swallow it.
        draw.rectangle(draw.textbbox((at, side // 2), letter, anchor=anchor), fill="black")
        draw.text((at, side // 2), letter, fill=_LETTERS, anchor=anchor)
    return sheet


def legend(draw: ImageDraw.ImageDraw, at: tuple[float, float], grid: Grid, gap: int) -> float:
    """Write the names of the structures in their colours in one line; gives where it ends."""
    x, y = at
    for name in sorted(grid.structures, key=lambda name: grid.structures[name]):
        draw.text((x, y), name, fill=grid.ink(name))
        x += gap + draw.textlength(name)
    return x


def upright(volume: Voxels, index: int, axis: int) -> Voxels:
    """A slice as rows and columns, the person's right (or front) on the left, up on top."""
    return plane(volume, index, axis).T[::-1, ::-1]


def plane(volume: Voxels, index: int, axis: int) -> Voxels:
    """A slice as it lies in the volume; no voxel is copied."""
    found: Voxels = volume[(slice(None),) * axis + (index,)]
    return found


def contrast(image: Voxels) -> tuple[float, float]:
    """The intensities shown as black and as white."""
    low, high = np.percentile(image, (1, 99.5))
    return float(low), float(high)


def outline(shape: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Pixels of a shape with a neighbour outside it, or at the rim of the picture. Shape: (rows, columns)."""
    inside = np.pad(shape, 1)
    whole = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    rim: npt.NDArray[np.bool_] = inside[1:-1, 1:-1] & ~whole
    return rim


def spread(candidates: Sequence[int], count: int) -> list[int]:
    """At most `count` of them, from the middles of equal stretches: the ends of an organ say little."""
    picks = (np.arange(count) + 0.5) / count * len(candidates)
    return sorted({candidates[int(pick)] for pick in picks})


def _ink(code: int) -> str:
    return _PALETTE[(code - 1) % len(_PALETTE)]


def _marked(label: npt.NDArray[np.uint8], grid: Grid) -> Iterator[tuple[npt.NDArray[np.bool_], str]]:
    """Where each structure lies, overlaps included, and its colour; the largest structure comes first."""
    codes = {int(code) for code in np.unique(label)}
    if {0, IGNORE} <= codes:  # some of the picture is not annotated: what is marked as background is a stroke too
        yield label == 0, _STROKE_OF_BACKGROUND
    drawn = {name: np.isin(label, held) for name, held in grid.structures.items()}
    for name in sorted(drawn, key=lambda name: (-int(drawn[name].sum()), grid.structures[name])):
        yield drawn[name], grid.ink(name)
    named = {code for held in grid.structures.values() for code in held}
    for code in sorted(codes - named - {0, IGNORE}):
        yield label == code, _ink(code)
