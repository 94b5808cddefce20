"""Pictures of cases: slices in a row, and below them the same slices with label contours."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from converters.dataset import IGNORE

TILE = 224  # pixels of a tile's longer side
GAP = 4
TEXT = 14  # height of a line of text
_STROKE_OF_BACKGROUND = "#ffffff"
# For codes without a colour of their own; told apart by most colour-blind people (Okabe and Ito).
_PALETTE = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7")


Voxels = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Layer:
    """A row of the picture: a channel, with or without a label map on it. Shape: (X, Y, Z), RAS+."""

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

    def ink(self, code: int) -> str:
        """The colour a structure is drawn in."""
        return self.colours.get(code) or _PALETTE[(code - 1) % len(_PALETTE)]


def montage(title: str, layers: Sequence[Layer], grid: Grid, slices: int) -> Image.Image:
    """One picture of a case: a row per layer, a column per slice, slices chosen where the foreground is.

    Seen from the feet or from the front: the person's right is on the left of the picture, as radiologists look at it.
    """
    chosen = choose([layer.label for layer in layers], layers[0].image.shape, grid.slice_axis, slices)
    rows = [[_tile(layer, index, grid) for index in chosen] for layer in layers]
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (len(chosen) * (width + GAP) + GAP, TEXT + len(rows) * (height + TEXT + GAP)), "black")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 0), title, fill="white")
    x = 2 * GAP + draw.textlength(title)
    for code, name in sorted(grid.names.items()):
        draw.text((x, 0), name, fill=grid.ink(code))
        x += 2 * GAP + draw.textlength(name)
    for y, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        top = TEXT + y * (height + TEXT + GAP)
        for column, (index, tile) in enumerate(zip(chosen, row, strict=True)):
            left = GAP + column * (width + GAP)
            draw.text((left, top), f"{layer.title}  slice {index}", fill="#b0b0b0")
            sheet.paste(tile, (left, top + TEXT))
        draw.text((GAP + 2, top + TEXT + height // 2 - TEXT // 2), _left_letter(grid), fill="#ffff80")
    return sheet


def choose(labels: Sequence[npt.NDArray[np.uint8] | None], shape: Sequence[int], axis: int, slices: int) -> list[int]:
    """Slices spread over those that hold foreground in any of the label maps; over all where none does."""
    n = shape[axis]
    others = tuple(k for k in range(3) if k != axis)
    there = np.zeros(n, bool)
    for label in labels:
        if label is not None:
            there |= ((label != 0) & (label != IGNORE)).any(axis=others)
    candidates = np.flatnonzero(there) if there.any() else np.arange(n)
    # The middles of equal stretches: the ends of an organ say little.
    picks = (np.arange(slices) + 0.5) / slices * len(candidates)
    return sorted({int(candidates[int(pick)]) for pick in picks})


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


def _tile(layer: Layer, index: int, grid: Grid) -> Image.Image:
    plane = _upright(layer.image, index, grid.slice_axis).astype(np.float32)
    across, up = (s for axis, s in enumerate(grid.spacing) if axis != grid.slice_axis)
    width, height = plane.shape[1] * across, plane.shape[0] * up
    scale = TILE / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    low, high = layer.window
    levels = np.clip((plane - low) / max(high - low, 1e-6), 0, 1) * 255
    picture = Image.fromarray(levels.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR)
    canvas = np.array(picture.convert("RGB"))
    if layer.label is not None:
        small = Image.fromarray(np.ascontiguousarray(_upright(layer.label, index, grid.slice_axis)))
        label = np.asarray(small.resize(size, Image.Resampling.NEAREST))
        for code, colour in _inks(label, grid).items():
            canvas[outline(label, code)] = [int(colour[k : k + 2], 16) for k in (1, 3, 5)]
    return Image.fromarray(canvas)


def _upright(volume: Voxels, index: int, axis: int) -> Voxels:
    """A slice as rows and columns, the person's right (or front) on the left, up on top."""
    plane: Voxels = np.take(volume, index, axis)
    return plane.T[::-1, ::-1]


def _inks(label: npt.NDArray[np.uint8], grid: Grid) -> dict[int, str]:
    codes = {int(code) for code in np.unique(label)}
    inks = {code: grid.ink(code) for code in sorted(codes - {0, IGNORE})}
    # Where some of a picture is not annotated, what is marked as background is a stroke too.
    return inks | ({0: _STROKE_OF_BACKGROUND} if {0, IGNORE} <= codes else {})


def _left_letter(grid: Grid) -> str:
    return "A" if grid.slice_axis == 0 else "R"
