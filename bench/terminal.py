"""A table for the terminal: as wide as it is, no word broken; columns it has no room for are named below."""

import textwrap
from collections.abc import Sequence

from leaderboards.columns import Table
from leaderboards.escape import visible

GAP = "  "
KEPT = 4  # columns that stay however narrow it is: the method, its Dice, the interval, the distance
LONG = 2000  # characters of a title or a note


def lay_out(table: Table, width: int) -> str:
    """Lines of at most `width` characters, unless one word or the columns that must stay are longer."""
    cells = [[visible(cell.text) for cell in row] for row in table.rows]
    columns = [visible(name) for name in table.columns]
    sizes = [max([_longest_word(name), *(_size(row[i]) for row in cells)]) for i, name in enumerate(columns)]
    shown = len(sizes)
    while shown > KEPT and _total(sizes[:shown]) > width:
        shown -= 1
    sizes = _squeezed(sizes[:shown], cells, width)
    lines = [*_wrapped(table.title, width), "", *_line(columns, sizes), "─" * min(width, _total(sizes))]
    for block in table.blocks:
        lines += _wrapped(block.title, width)
        for row in block.rows:
            lines += _line([visible(cell.text) for cell in row], sizes)
    left = f"no room for: {', '.join(columns[shown:])} (a wider terminal, or --format markdown)"
    notes = [*table.notes, *([left] if shown < len(columns) else [])]
    return "\n".join([*lines, "", *(line for note in notes for line in _wrapped(note, width)), ""])


def _squeezed(sizes: list[int], cells: Sequence[Sequence[str]], width: int) -> list[int]:
    """Narrower columns where all are still too wide, the first one first; words stay whole."""
    sizes = list(sizes)
    for i, size in enumerate(sizes):
        over = _total(sizes) - width
        if over > 0:
            sizes[i] = max(size - over, *(_longest_word(row[i]) for row in cells), 1)
    return sizes


def _line(cells: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """The cells side by side, each folded at its spaces; as many lines as the tallest takes."""
    columns = [_fold(text, size) for text, size in zip(cells, sizes, strict=False)]
    height = max(len(column) for column in columns)
    padded = [column + [""] * (height - len(column)) for column in columns]
    return [
        GAP.join(part + " " * (size - _size(part)) for part, size in zip(parts, sizes, strict=True)).rstrip()
        for parts in zip(*padded, strict=True)
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return _fold(visible(text, LONG), width)


def _fold(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _total(sizes: Sequence[int]) -> int:
    return sum(sizes) + len(GAP) * (len(sizes) - 1)


def _size(text: str) -> int:
    """Columns a text takes: letters of East Asia take two."""
    from rich.cells import cell_len

    return cell_len(text)


def _longest_word(text: str) -> int:
    return max((_size(word) for word in text.split()), default=0)
