"""The fenced blocks of README.md, CONTRIBUTING.md, SECURITY.md and docs/, and what docs/blocks.toml says of each."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from converters.errors import BenchError
from converters.files import Strict
from docsite.markdown import ROOT

TABLE = ROOT / "docs" / "blocks.toml"
_FENCED = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACE = re.compile(r"# ([\w./-]+\.\w+)\n")


class Block(NamedTuple):
    """One fenced block."""

    page: str  # path in the repository
    line: int  # of its first line, from 1
    language: str
    text: str

    @property
    def place(self) -> str:
        """The file that it is the content of, where its first line is a comment that names one; else ""."""
        found = _PLACE.match(self.text)
        return found[1] if found and self.language not in ("", "sh", "bash") else ""


class Fate(Strict):
    """What becomes of a block, or of all blocks of a page: one of `run`, `test` and `why`."""

    page: str
    starts: str = ""  # the beginning of the block; "" for all blocks of the page that no other entry names
    run: Literal["", "fast", "slow"] = ""  # by tests/docs/test_blocks.py; slow: by `make blocks` alone
    test: str = ""  # the test file that runs it, or reads it with the type it is for
    why: str = ""  # it is not run
    world: bool = False  # run where made-up data and runs are, instead of in an empty folder
    leaving: Mapping[str, str] = {}  # beginnings of lines that are left out of the run -> why
    stand_in: Mapping[str, str] = {}  # beside those of the whole table, in any folder

    def __post_init__(self) -> None:
        """Refuse an entry that says nothing, or two things."""
        if sum(map(bool, (self.run, self.test, self.why))) != 1:
            raise ValueError(f"{self.page}: one of run, test and why")


class Table(Strict):
    """docs/blocks.toml."""

    stand_in: Mapping[str, str]  # in a block that is run in the world: what is written -> what is there
    block: tuple[Fate, ...]


def pages() -> list[Path]:
    """Every page with blocks that a reader may copy."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return [path for path in (*top, *sorted((ROOT / "docs").rglob("*.md"))) if path.is_file()]


def blocks(path: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    text = path.read_text(encoding="utf-8")
    for found in _FENCED.finditer(text):
        line = text.count("\n", 0, found.start(2)) + 1
        yield Block(path.relative_to(ROOT).as_posix(), line, found[1], found[2])


def table() -> Table:
    """docs/blocks.toml.

    Raises:
        BenchError: it is not what `Table` says.
    """
    try:
        return msgspec.toml.decode(TABLE.read_bytes(), type=Table)
    except msgspec.MsgspecError as error:
        raise BenchError(str(error), where=TABLE) from None


def fate(block: Block, known: tuple[Fate, ...]) -> Fate | None:
    """The entry with the longest beginning that fits; None where nobody has said what becomes of the block."""
    fitting = [one for one in known if one.page == block.page and block.text.startswith(one.starts)]
    return max(fitting, key=lambda one: len(one.starts), default=None)
