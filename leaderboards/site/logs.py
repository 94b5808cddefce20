"""What training logged, read back: one line per few steps with every loss term."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from converters.errors import BenchError

_LARGEST = 1e15


class Line(NamedTuple):
    """The loss terms at a step."""

    step: int
    terms: dict[str, float]


Log = tuple[Line, ...]


def beside(record: Path) -> Path:
    """Where the log of a record file lies: `a.log.jsonl` for `a.json`, `model/log.jsonl` for a run's record."""
    if record.name == "record.json":
        return record.parent / "model" / "log.jsonl"
    return record.with_name(f"{record.name.removesuffix('.json')}.log.jsonl")


def read(path: Path) -> Log:
    """The lines of a log; a value that is no number, or one that no figure can hold, is left out.

    Raises:
        BenchError: a line is no JSON object of numbers with a step.
    """
    lines = []
    for number, text in enumerate(path.read_bytes().splitlines(), 1):
        try:
            found = msgspec.json.decode(text, type=dict[str, float | None])
            step = int(found.pop("step") or 0)
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, OverflowError, ValueError) as error:
            raise BenchError(f"line {number}: {type(error).__name__}: {error}", where=path) from None
        if abs(step) >= _LARGEST:
            raise BenchError(f"line {number}: no training has so many steps", where=path)
        lines.append(Line(step, {k: v for k, v in found.items() if v is not None and abs(v) < _LARGEST}))
    return tuple(lines)
