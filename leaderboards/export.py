"""Rows -> data for programs: CSV, JSON lines, and the CSV of challengeR; no text is cut."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import msgspec

from converters.errors import unknown_name
from leaderboards import escape
from leaderboards.clinical import Agreement, Clinical
from leaderboards.columns import name
from leaderboards.record import Record
from leaderboards.section import Section
from leaderboards.standing import Standing
from leaderboards.summary import Interval, Summary, counted, family, short
from leaderboards.table import Row

ALL_LABELS = "(mean over labels)"
DIGITS = 9
ABSENT = "NA"  # R's word
_APART = {
    "section",
    "macro",
    "labels",
    "intervals",
    "standings",
    "gains",
    "method",
}  # fields of a row that take more than a cell


def csv_text(rows: Sequence[Row], clinical: Mapping[tuple[str, ...], Clinical] | None = None) -> str:
    """One line per row and label, and one for the mean over labels; columns whose statistic a line has not are empty.

    `clinical`: the `runs` of a row -> its ejection fractions and volumes.
    """
    if not rows:
        return ""
    facts = [field for field in Row.__struct_fields__ if field not in _APART]
    where = [field for field in Section.__struct_fields__ if field != "definitions"]
    lines = []
    for row in rows:
        measured = (clinical or {}).get(row.runs, {})
        known = {field: getattr(row.section, field) for field in where} | {"method": row.method}
        known |= {field: _text(getattr(row, field)) for field in facts}
        for label, summaries in [(ALL_LABELS, row.macro), *row.labels.items()]:
            found = _statistics(summaries)
            found |= _ranked(row) if label == ALL_LABELS else _clinical(measured.get(label, {}))
            lines.append((known | {"label": label}, found))
    more = sorted({column for _, found in lines for column in found})
    columns = [*where, "method", "label", *facts]
    body = [[*(known[c] for c in columns), *(found.get(c) for c in more)] for known, found in lines]
    return _csv([*columns, *more], body)


def _statistics(summaries: Mapping[str, Summary]) -> dict[str, object]:
    return {f"{d} {key}": value for d, summary in summaries.items() for key, value in _fields(summary)}


def _ranked(row: Row) -> dict[str, object]:
    found: dict[str, object] = {}
    for prefix, values in (("interval", row.intervals), ("standing", row.standings), ("gain", row.gains)):
        for definition, struct in values.items():
            found |= {
                f"{definition} {prefix} {key}": _text(value)
                for key, value in _fields(struct)
                if (prefix, key) != ("interval", "mean")  # the line has it already
            }
    return found


def _clinical(measured: Mapping[str, Agreement]) -> dict[str, object]:
    return {f"{what} {key}": value for what, agreement in measured.items() for key, value in _fields(agreement)}


def _fields(struct: Summary | Interval | Standing | Agreement) -> list[tuple[str, object]]:
    return [(field, getattr(struct, field)) for field in struct.__struct_fields__]


def _text(value: object) -> object:
    return "; ".join(str(part) for part in value) if isinstance(value, tuple) else value


def _csv(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    # All text in quotes: where the semicolon separates, half a name cannot become a cell of its own.
    writer = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerows([escape.cell(_rounded(value)) for value in line] for line in [columns, *lines])
    return out.getvalue()


def json_text(rows: Iterable[Row], clinical: Mapping[tuple[str, ...], Clinical] | None = None) -> str:
    """One row a line, keys sorted, everything in it."""
    lines = []
    for row in rows:
        plain = msgspec.to_builtins(row, order="sorted")
        if measured := (clinical or {}).get(row.runs):
            plain["clinical"] = msgspec.to_builtins(measured, order="sorted")
        lines.append(msgspec.json.encode(_rounded(plain), order="sorted").decode() + "\n")
    return "".join(lines)


def _rounded(value: object) -> object:
    """Floats to as many digits as any two processors agree on, however they order a sum."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value


def challenger(rows: Sequence[Row], records: Iterable[Record], metric: str) -> str:
    """The long form that challengeR reads: task, case, algorithm, value; NA where both sides are empty.

    A task is a dataset, protocol and label, and names more where that is not enough to keep sections apart. A case is a
    patient: the mean over the patient's images, then over seeds and draws, undefined scores counted as in the tables.

    Raises:
        UsageError: no row has the metric, or several of its definitions.
    """
    definitions = sorted({definition for row in rows for definition in row.macro})
    chosen = [d for d in definitions if metric in {d, short(d), family(d)}]
    if len({short(d) for d in chosen}) != 1:
        raise unknown_name("single metric" if chosen else "metric", metric, {short(d) for d in definitions})
    runs = {record.id(): record for record in records}
    tasks = _tasks(rows)
    lines = [
        [f"{tasks[i]}/{label}", patient, name(row), ABSENT if value is None else value]
        for i, row in enumerate(rows)
        for definition in chosen
        if definition in row.macro
        for (label, patient), value in _values([runs[run] for run in row.runs], definition).items()
    ]
    return _csv(["task", "case", "algorithm", "value"], lines)


def _values(records: Iterable[Record], definition: str) -> dict[tuple[str, str], float | None]:
    repeats: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        cases: dict[tuple[str, str], list[float]] = defaultdict(list)
        for score in record.cases:
            value = counted(score, definition)
            cases[score.label, score.subject] += [] if value is None else [value]
        for key, values in cases.items():
            repeats[key] += [fmean(values)] if values else []
    return {key: fmean(values) if values else None for key, values in sorted(repeats.items())}


def _tasks(rows: Sequence[Row]) -> list[str]:
    """The task of each row: dataset and protocol, and whatever else sections of that name differ in."""
    names = [f"{row.section.dataset}/{row.section.protocol}" for row in rows]
    told = []
    for row, task in zip(rows, names, strict=True):
        namesakes = [other.section for other, its in zip(rows, names, strict=True) if its == task]
        differ = [
            f for f in Section.__struct_fields__ if any(getattr(s, f) != getattr(row.section, f) for s in namesakes)
        ]
        told.append("/".join([task, *(f"{field}={getattr(row.section, field)}" for field in differ)]))
    return told
