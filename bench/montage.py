"""Pictures of cases: slices in a row, and below them the same slices with label contours."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from converters.dataset import IGNORE
from converters.tile import Grid, Layer, legend, spread, tile

GAP = 4
TEXT = 14  # height of a line of text


def montage(title: str, layers: Sequence[Layer], grid: Grid, slices: int) -> Image.Image:
    """One picture of a case: a row per layer, a column per slice, slices chosen where the foreground is.

    Seen from the feet or from the front: the person's right is on the left of the picture, as radiologists look at it.
    """
    chosen = choose([layer.label for layer in layers], layers[0].image.shape, grid.slice_axis, slices)
    rows = [[tile(layer, index, grid) for index in chosen] for layer in layers]
    width, height = rows[0][0].size
    sheet = Image.new("RGB", (len(chosen) * (width + GAP) + GAP, TEXT + len(rows) * (height + TEXT + GAP)), "black")
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 0), title, fill="white")
    legend(draw, (2 * GAP + draw.textlength(title), 0), grid, 2 * GAP)
    for y, (layer, row) in enumerate(zip(layers, rows, strict=True)):
        top = TEXT + y * (height + TEXT + GAP)
        for column, (index, picture) in enumerate(zip(chosen, row, strict=True)):
            left = GAP + column * (width + GAP)
            draw.text((left, top), f"{layer.title}  slice {index}", fill="#b0b0b0")
            sheet.paste(picture, (left, top + TEXT))
        draw.text((GAP + 2, top + TEXT + height // 2 - TEXT // 2), grid.left, fill="#ffff80")
    return sheet


def choose(labels: Sequence[npt.NDArray[np.uint8] | None], shape: Sequence[int], axis: int, slices: int) -> list[int]:
    """Slices spread over those that hold foreground in any of the label maps; over all where none does."""
    n = shape[axis]
    others = tuple(k for k in range(3) if k != axis)
    there = np.zeros(n, bool)
    for label in labels:
        if label is not None:
            there |= ((label != 0) & (label != IGNORE)).any(axis=others)
    return spread(np.flatnonzero(there).tolist() or range(n), slices)
