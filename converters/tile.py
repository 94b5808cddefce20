"""One slice of a case as a small picture: the shape of the body, its right on the left, label outlines in colour."""

import dataclasses
from collections.abc import Mapping, Sequence
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
    names: Mapping[int, str]  # code -> structure
    colours: Mapping[int, str]  # code -> "#rrggbb", where the dataset has one

    @classmethod
    def of(
        cls, geometry: Geometry, labels: Mapping[str, int | tuple[int, ...]], info: Mapping[str, LabelInfo]
    ) -> "Grid":
        """The grid of a case of a dataset with these labels; a region has the colour of its own code."""
        own = {name: code if isinstance(code, int) else code[0] for name, code in labels.items()}
        names = {code: name for name, code in own.items() if code != 0}
        colours = {code: info[name].colour for code, name in names.items() if name in info}
        return cls(geometry.spacing_mm, geometry.slice_axis, names, colours)

    def ink(self, code: int) -> str:
        """The colour a structure is drawn in."""
        return self.colours.get(code) or _PALETTE[(code - 1) % len(_PALETTE)]

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
        for code, colour in _inks(label, grid).items():
            canvas[outline(label, code)] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return Image.fromarray(canvas)


def square(picture: Image.Image, grid: Grid, side: int) -> Image.Image:
    """The picture in the middle of a black square, with the letters of both sides of the body at its rims."""
    sheet = Image.new("RGB", (side, side), "black")
    sheet.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    draw = ImageDraw.Draw(sheet)
    draw.text((2, side // 2), grid.left, fill=_LETTERS, anchor="lm")
    draw.text((side - 2, side // 2), grid.right, fill=_LETTERS, anchor="rm")
    return sheet


def legend(draw: ImageDraw.ImageDraw, at: tuple[float, float], grid: Grid, gap: int) -> float:
    """Write the names of the structures in their colours in one line; gives where it ends."""
    x, y = at
    for code, name in sorted(grid.names.items()):
        draw.text((x, y), name, fill=grid.ink(code))
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


def outline(label: npt.NDArray[np.uint8], code: int) -> npt.NDArray[np.bool_]:
    """Pixels of a structure with a neighbour outside it, or at the rim of the picture. Shape: (rows, columns)."""
    inside = np.pad(label == code, 1)
    whole = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    rim: npt.NDArray[np.bool_] = inside[1:-1, 1:-1] & ~whole
    return rim


def spread(candidates: Sequence[int], count: int) -> list[int]:
    """At most `count` of them, from the middles of equal stretches: the ends of an organ say little."""
    picks = (np.arange(count) + 0.5) / count * len(candidates)
    return sorted({candidates[int(pick)] for pick in picks})


def _inks(label: npt.NDArray[np.uint8], grid: Grid) -> dict[int, str]:
    codes = {int(code) for code in np.unique(label)}
    inks = {code: grid.ink(code) for code in sorted(codes - {0, IGNORE})}
    # Where some of a picture is not annotated, what is marked as background is a stroke too.
    return inks | ({0: _STROKE_OF_BACKGROUND} if {0, IGNORE} <= codes else {})
