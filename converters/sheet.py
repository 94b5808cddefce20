"""The picture of a dataset: some of its cases side by side, under their ids."""

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from converters.tile import Grid, legend

COLUMNS, MOST = 6, 24
_GAP, _TEXT = 4, 14


def sheet(title: str, pictures: Sequence[tuple[str, Path]], grid: Grid, side: int) -> bytes:
    """A PNG of equal squares in rows of six, a heading and the colours of the structures above them.

    Args:
        title: the heading.
        pictures: what is written above a square, and the file that shows it.
        grid: of any case, for the colours.
        side: pixels of a square.
    """
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    head = 2 * _TEXT + _GAP
    wide = max(columns, 3) * (side + _GAP) + _GAP
    made = Image.new("RGB", (wide, head + rows * (side + _TEXT + _GAP)), "black")
    draw = ImageDraw.Draw(made)
    draw.text((_GAP, 0), _fitting(draw, title, wide - 2 * _GAP), fill="white")
    legend(draw, (_GAP, _TEXT), grid, 2 * _GAP)
    for number, (name, path) in enumerate(pictures):
        row, column = divmod(number, columns)
        left, top = _GAP + column * (side + _GAP), head + row * (side + _TEXT + _GAP)
        draw.text((left, top), _fitting(draw, name, side), fill="#b0b0b0")
        with Image.open(path, formats=["PNG"]) as picture:
            made.paste(picture.convert("RGB"), (left, top + _TEXT))
    stream = io.BytesIO()
    made.save(stream, format="PNG", compress_level=6)
    return stream.getvalue()


def _fitting(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """The text, its middle left out where it is too long."""
    keep = len(text)
    short = text
    while keep > 2 and draw.textlength(short) > width:
        keep -= 1
        short = f"{text[: keep - keep // 2]}...{text[-(keep // 2) :]}"
    return short
