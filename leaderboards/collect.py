"""Records from disk: found, read, and looked at before they may enter a table."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from converters.errors import BenchError
from converters.files import natural_key
from leaderboards.record import CaseScore, Record

RESULTS = ("leaderboards", "results")  # the committed records: there, every JSON file is one


def load(paths: Sequence[Path]) -> tuple[list[Record], list[str]]:
    """The records that can be trusted, and one sentence about every file that cannot.

    A folder stands for every `record.json` below it, and for every `*.json` below `leaderboards/results`.

    Raises:
        BenchError: a path does not exist.
    """
    records: list[Record] = []
    problems: list[str] = []
    seen: dict[str, Path] = {}
    for file in _files(paths):
        try:
            record = Record.load(file)
        except (BenchError, OSError) as error:
            problems.append(f"{file}: {str(error).partition(chr(10))[0]}; left out")
            continue
        if found := faults(record):
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            problems.append(f"{file}: {found[0]}{more}; left out")
        elif record.status != "done":
            problems.append(f"{file}: {record.method} on {record.dataset}, {record.status}: {record.reason}")
        elif (run := record.id()) in seen:
            problems.append(f"{file}: the same record as {seen[run]}; counted once")
        else:
            seen[run] = file
            records.append(record)
    return records, problems


def _files(paths: Iterable[Path]) -> list[Path]:
    found: dict[Path, Path] = {}
    for path in paths:
        if not path.exists():
            raise BenchError("no such file or folder", where=path, mend="bench ls runs")
        for file in [path] if path.is_file() else _below(path):
            found.setdefault(file.resolve(), file)
    return sorted(found.values(), key=natural_key)


def _below(folder: Path) -> list[Path]:
    files = []
    for root, _, names in os.walk(folder):
        parts = Path(root).resolve().parts
        committed = any(parts[i : i + 2] == RESULTS for i in range(len(parts)))
        files += [
            Path(root) / name for name in names if name == "record.json" or (committed and name.endswith(".json"))
        ]
    return files


def faults(record: Record) -> list[str]:
    """What a record contradicts itself in: edited by hand, cut, or written by something else."""
    found = []
    if record.status == "done" and not record.cases:
        found.append("status done, but not one scored case")
    twice = len(record.cases) - len({(score.case, score.label) for score in record.cases})
    if twice:
        found.append(f"{twice} case and label pairs stand in it twice")
    told = ((score, _contradiction(score)) for score in record.cases)
    return found + [f"case {score.case}, {score.label}: {sentence}" for score, sentence in told if sentence]


def _contradiction(score: CaseScore) -> str | None:
    tp, fp, fn = score.tp, score.fp, score.fn
    if min(tp, fp, fn, score.ignored) < 0 or score.diagonal_mm <= 0:
        return "a negative count, or no image diagonal"
    fits = {
        "ok": tp + fp > 0 and tp + fn > 0,
        "both_empty": tp + fp + fn == 0,
        "missed": tp + fp == 0 and fn > 0,
        "false": tp + fn == 0 and fp > 0,
        "invalid": True,
    }
    if not fits[score.status]:
        return f"status '{score.status}' does not fit tp {tp}, fp {fp}, fn {fn}"
    for definition, value in score.metrics.items():
        if definition.startswith("dice:") and value is not None and score.status == "ok":
            expected = 2 * tp / (2 * tp + fp + fn)
            if abs(value - expected) > 1e-9:
                return f"Dice {value:.6f} is not {expected:.6f}, which its counts give"
    return None
