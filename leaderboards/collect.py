"""Records from disk: found, read, and looked at before they may enter a table."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from converters.errors import BenchError
from converters.files import natural_key
from leaderboards import forked, verification
from leaderboards.record import Record
from leaderboards.rules import faults

RESULTS = ("leaderboards", "results")  # the committed records: there, every JSON file is one


class Collected(NamedTuple):
    """What can stand in tables, what cannot, and how far each record was verified."""

    records: list[Record]
    problems: list[str]  # a sentence for every file that is left out, or that says something nobody can believe
    verified: dict[str, int]  # record id -> level; 0 where nobody verified it


class _Looked(NamedTuple):
    """A record that could be read."""

    record: Record
    wrong: list[str]  # in what it contradicts itself
    level: tuple[int, list[str]]  # of verification; and a sentence where that cannot be believed


_Packed = tuple[bytes, str, tuple[list[str], tuple[int, list[str]]]]  # a record and its id, then as `_Looked`


def load(paths: Sequence[Path]) -> Collected:
    """The records that can be trusted, and one sentence about every file that cannot.

    A folder stands for every `record.json` below it, and for every `*.json` below `leaderboards/results`.

    Raises:
        BenchError: a path does not exist.
    """
    found = Collected([], [], {})
    seen: dict[str, Path] = {}
    for file, looked in _looked_at(files(paths)):
        if isinstance(looked, str):
            found.problems.append(f"{file}: {looked}; left out")
            continue
        record, _, (level, doubt) = looked
        run, told = record.id(), _problem(looked, file, seen)
        if told:
            found.problems.append(told)
        if run in seen or not told:
            # A copy without a verification takes none away.
            found.verified[run] = max(found.verified.get(run, 0), level)
            found.problems.extend(doubt)
        if not told:
            seen[run] = file
            found.records.append(record)
    return found


def _looked_at(paths: Sequence[Path]) -> Iterator[tuple[Path, _Looked | str]]:
    """Every file in its order; where there are thousands, in several processes."""
    processes = forked.jobs(len(paths))
    if processes == 1:
        yield from ((file, _look(file)) for file in paths)
        return
    found: dict[int, _Looked | str] = {}
    for number, answer in forked.each(lambda number: _packed(_look(paths[number])), len(paths), processes):
        found[number] = _unpacked(answer)
    yield from ((file, found.pop(number)) for number, file in enumerate(paths))


def _look(file: Path) -> _Looked | str:
    """A record and what is wrong with it, or why it cannot be read."""
    try:
        record = Record.load(file)
    except (BenchError, OSError) as error:
        return _line(error)
    record.id()
    return _Looked(record, faults(record) if record.status == "done" else [], _level(file, record))


def _packed(looked: _Looked | str) -> _Packed | str:
    if isinstance(looked, str):
        return looked
    return msgspec.msgpack.encode(looked.record), looked.record.id(), looked[1:]


def _unpacked(answer: _Packed | str) -> _Looked | str:
    if isinstance(answer, str):
        return answer
    packed, run, rest = answer
    return _Looked(msgspec.msgpack.decode(packed, type=Record).known_as(run), *rest)


def _problem(looked: _Looked, file: Path, seen: dict[str, Path]) -> str | None:
    record, wrong, _ = looked
    if record.status != "done":
        return f"{file}: {record.method} on {record.dataset}, {record.status}: {record.reason}"
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return f"{file}: {wrong[0]}{more}; left out"
    if (run := record.id()) in seen:
        return f"{file}: the same record as {seen[run]}; counted once"
    return None


def _level(file: Path, record: Record) -> tuple[int, list[str]]:
    """How far it was verified, and a sentence where what says so cannot be believed."""
    try:
        return verification.level(file, record), []
    except (BenchError, OSError) as error:
        return verification.RULES, [f"{verification.beside(file)}: {_line(error)}; not counted as verified"]


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
        for real, file in [(path.resolve(), path)] if path.is_file() else _below(path):
            found.setdefault(real, file)
    return sorted(found.values(), key=natural_key)


def _below(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Where each file really lies, and the file; links to folders are not followed."""
    top = folder.resolve()
    for root, _, names in os.walk(folder):
        if not (written := [name for name in names if name.endswith(".json")]):
            continue
        here = Path(root)
        real = top / here.relative_to(folder)
        committed = any(real.parts[i : i + 2] == RESULTS for i in range(len(real.parts)))
        for name in written:
            if name == "record.json" or (committed and _is_record(name)):
                file = here / name
                yield file.resolve() if file.is_symlink() else real / name, file


def _is_record(name: str) -> bool:
    return name.endswith(".json") and not name.endswith(f".{verification.ENDING}") and name != verification.ENDING
