"""Records from disk: found, read, and looked at before they may enter a table."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from converters.errors import BenchError
from converters.files import natural_key
from leaderboards import verification
from leaderboards.record import Record
from leaderboards.rules import faults

RESULTS = ("leaderboards", "results")  # the committed records: there, every JSON file is one


class Collected(NamedTuple):
    """What can stand in tables, what cannot, and how far each record was verified."""

    records: list[Record]
    problems: list[str]  # a sentence for every file that is left out, or that says something nobody can believe
    verified: dict[str, int]  # record id -> level; 0 where nobody verified it


def load(paths: Sequence[Path]) -> Collected:
    """The records that can be trusted, and one sentence about every file that cannot.

    A folder stands for every `record.json` below it, and for every `*.json` below `leaderboards/results`.

    Raises:
        BenchError: a path does not exist.
    """
    found = Collected([], [], {})
    seen: dict[str, Path] = {}
    for file in files(paths):
        try:
            record = Record.load(file)
        except (BenchError, OSError) as error:
            found.problems.append(f"{file}: {_line(error)}; left out")
            continue
        run, told = record.id(), _problem(record, file, seen)
        if told:
            found.problems.append(told)
        if run in seen or not told:
            # A copy without a verification takes none away.
            found.verified[run] = max(found.verified.get(run, 0), _level(file, record, found.problems))
        if not told:
            seen[run] = file
            found.records.append(record)
    return found


def _problem(record: Record, file: Path, seen: dict[str, Path]) -> str | None:
    if record.status != "done":
        return f"{file}: {record.method} on {record.dataset}, {record.status}: {record.reason}"
    if wrong := faults(record):
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"{file}: {wrong[0]}{more}; left out"
    if (run := record.id()) in seen:
        return f"{file}: the same record as {seen[run]}; counted once"
    return None


def _level(file: Path, record: Record, problems: list[str]) -> int:
    try:
        return verification.level(file, record)
    except (BenchError, OSError) as error:
        problems.append(f"{verification.beside(file)}: {_line(error)}; not counted as verified")
        return verification.RULES


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def files(paths: Iterable[Path]) -> list[Path]:
    """Every file that should be a record, in natural order.

    Raises:
        BenchError: a path does not exist.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise BenchError("no such file or folder", where=path, mend="bench ls runs")
        for file in [path] if path.is_file() else _below(path):
            found.setdefault(file.resolve(), file)
    return sorted(found.values(), key=natural_key)


def _below(folder: Path) -> list[Path]:
    found = []
    for root, _, names in os.walk(folder):
        parts = Path(root).resolve().parts
        committed = any(parts[i : i + 2] == RESULTS for i in range(len(parts)))
        found += [Path(root) / name for name in names if name == "record.json" or (committed and _is_record(name))]
    return found


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(f".{verification.ENDING}") and name != verification.ENDING
