"""What a person sees on stderr, and what a program reads on stdout."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from leaderboards.escape import visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

T = TypeVar("T")


class Advance(Protocol):
    """Moves a bar on by items done, and by the bytes that these took."""

    def __call__(self, items: int = 1, data: int = 0) -> None:
        """Since the last call."""


LONGEST = 2000  # characters of a line for people
PLAIN_WIDTH = 200  # columns of a table that goes to a file or a pipe


def console() -> "Console":
    """The console on stderr; rich leaves out colours when it is no terminal or NO_COLOR is set."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One line for people, on stderr."""
    console().print(harmless(text), markup=False)


def harmless(text: str) -> str:
    """Lines as they are, but for what a name from a file could do to a terminal."""
    return "\n".join(visible(line, LONGEST) for line in text.split("\n"))


@contextlib.contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """A bar with count, rate and time left; gives a function that takes the number of items done since the last call.

    Quiet when stderr is no terminal: a log file wants no bars.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    out = console()
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True) as bar:
        task = bar.add_task(label, total=total, rate="")
        start, read = time.monotonic(), 0

        def advance(items: int = 1, data: int = 0) -> None:
            nonlocal read
            read += data
            bar.advance(task, items)
            speed = bar.tasks[0].speed
            rates = [f"{speed:.3g}/s"] if speed else []
            rates += [f"{read / 1e6 / (time.monotonic() - start):.3g} MB/s"] if read else []
            bar.update(task, rate=" ".join(rates))

        yield advance


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """The same items, with a progress bar."""
    with progress(label, total) as advance:
        for item in items:
            yield item
            advance(1)


def print_json(value: object) -> None:
    """One value as one line of JSON on stdout, keys sorted."""
    plain = msgspec.to_builtins(value, str_keys=True, order="sorted")
    sys.stdout.write(msgspec.json.encode(plain, order="sorted").decode() + "\n")


def page_width() -> int:
    """Columns of the terminal or of the variable COLUMNS; PLAIN_WIDTH where stdout is a file or a pipe."""
    from rich.console import Console

    out = Console()
    return out.width if out.is_terminal or os.environ.get("COLUMNS", "").isdigit() else PLAIN_WIDTH


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """A table on stdout, as wide as the terminal, or as wide as it needs where stdout is none."""
    from rich.console import Console

    out = Console(highlight=False, width=page_width())
    out.print(table(columns, rows, title=title, width=out.width))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None, width: int) -> "Table":
    """A table that fits into so many columns of characters."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    made.padding = (0, 1, 0, 0)
    cells = [list(row) for row in rows]
    widths = [_longest_word([column, *(row[i] for row in cells)]) for i, column in enumerate(columns)]
    fits = sum(widths) + len(widths) <= width
    for column, least in zip(columns, widths, strict=True):
        # Words are broken only where there is no room for them whole.
        made.add_column(column, overflow="fold", min_width=least if fits else None)
    for row in cells:
        made.add_row(*(Text(cell) for cell in row))
    return made


def _longest_word(texts: Iterable[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=1)
