"""Rows -> text: cells for terminal and Markdown, CSV, JSON lines. The same rows give the same bytes."""

import csv
import html
import io
import itertools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from typing import NamedTuple

import msgspec

from converters.errors import BenchError
from leaderboards.summary import HEADLINE, family, short
from leaderboards.table import Row

ALL_LABELS = "(mean over labels)"
SHOWN = {"dice", "hd95", "nsd"}  # the other metrics are in CSV and JSON
LONGEST = 80  # characters of a name in a table for people
_STATISTICS = ("mean", "sd", "median", "q1", "q3", "n")
_MARKER = re.compile(r"(<!-- table:(\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)


class Table(NamedTuple):
    """Cells for people. Text is not yet escaped for any format."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str


class _Column(NamedTuple):
    name: str
    cell: Callable[[Row], str]
    fold: bool = False  # the same in all rows: say it once, below the table


def tables(rows: Iterable[Row], *, per_label: bool = False) -> list[Table]:
    """One table per dataset, split and set of definitions, in the order of the rows."""
    return [_table(list(members), per_label) for _, members in itertools.groupby(rows, lambda row: row.section.table())]


def _table(rows: Sequence[Row], per_label: bool) -> Table:
    of = rows[0].section
    title = [of.dataset, f"split {of.split}", f"content {of.content[:12] or 'unknown'}"]
    if of.dataset.startswith("phantom"):
        title.insert(1, "made-up patients")
    title += [f"task {of.task}"] if of.task != "labels" else []
    title += [f"fold {of.fold}"] if of.fold else []
    columns = [*_who(), *_scores(rows, per_label), *_facts()]
    same = [c for c in columns if c.fold and len({c.cell(row) for row in rows}) == 1]
    shown = [c for c in columns if c not in same]
    note = [f"{c.name}: {c.cell(rows[0])}" for c in same if c.cell(rows[0])]
    note += [f"definitions: {_definitions(of.definitions)}"]
    left_out = sum(row.both_empty for row in rows)
    note += [f"absent from reference and prediction, left out: {left_out}"] if left_out else []
    cells = tuple(tuple(column.cell(row) for column in shown) for row in rows)
    return Table(" · ".join(title), tuple(c.name for c in shown), cells, "; ".join(note))


def _definitions(versions: Mapping[str, str]) -> str:
    """Versions of the metrics that are shown, and of what else numbers hang on."""
    told = {key: value for key, value in versions.items() if family(key) in SHOWN or family(key) not in HEADLINE}
    return ", ".join(value if short(value) == key else f"{key} {value}" for key, value in sorted(told.items()))


def _who() -> list[_Column]:
    return [
        _Column("protocol", lambda row: row.section.protocol),
        _Column("labels seen", lambda row: row.section.annotator),
        _Column("draw", lambda row: row.section.draw, fold=True),
        _Column("selection", lambda row: row.section.selection, fold=True),
        _Column("method", lambda row: f"{row.method} ({row.variant})" if row.variant else row.method),
    ]


def _scores(rows: Sequence[Row], per_label: bool) -> list[_Column]:
    definitions = sorted({definition for row in rows for definition in row.macro})
    labels = dict.fromkeys(label for row in rows for label in row.labels) if per_label else ()
    columns = []
    for definition in (d for d in definitions if family(d) == "dice"):
        columns.append(_Column("Dice", partial(_mean, definition=definition)))
        columns += [_Column(f"Dice {label}", partial(_mean, definition=definition, label=label)) for label in labels]
    columns += [
        _Column("HD95 mm, median (IQR)", partial(_spread, definition=d)) for d in definitions if family(d) == "hd95"
    ]
    # The most lenient tolerance; the others are in CSV and JSON.
    lenient = sorted((d for d in definitions if family(d) == "nsd"), key=_tolerance)[-1:]
    return columns + [_Column(short(d).replace("nsd", "NSD"), partial(_mean, definition=d)) for d in lenient]


def _tolerance(definition: str) -> float:
    return float(short(definition).partition("@")[2].removesuffix("mm") or 0)


def _mean(row: Row, *, definition: str, label: str | None = None) -> str:
    summary = (row.macro if label is None else row.labels.get(label, {})).get(definition)
    if summary is None:
        return ""
    return f"{summary.mean:.3f}" if summary.sd is None else f"{summary.mean:.3f} ± {summary.sd:.3f}"


def _spread(row: Row, *, definition: str) -> str:
    summary = row.macro.get(definition)
    return "" if summary is None else f"{summary.median:.1f} ({summary.q1:.1f}–{summary.q3:.1f})"


def _facts() -> list[_Column]:
    return [
        _Column("test subjects", lambda row: str(row.subjects), fold=True),
        _Column(
            "seeds", lambda row: f"{row.seeds}" if row.draws == 1 else f"{row.seeds}, {row.draws} draws", fold=True
        ),
        _Column("missed / false / invalid", lambda row: f"{row.missed}/{row.false}/{row.invalid}", fold=True),
        _Column("train samples /s", lambda row: _number(row.train_items_per_s)),
        _Column("s/case", lambda row: _number(row.seconds_per_case)),
        _Column(
            "peak MiB", lambda row: _whole(row.peak_host_mib if row.peak_device_mib is None else row.peak_device_mib)
        ),
        _Column("machine", lambda row: row.machine, fold=True),
    ]


def _number(value: float | None) -> str:
    # Three digits without an exponent: 1234, 12.3, 0.123.
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def visible(text: str, longest: int = LONGEST) -> str:
    """Text that cannot move the cursor, turn the reading direction or flood the page."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def markdown(rows: Iterable[Row], *, per_label: bool = False) -> str:
    """GitHub's Markdown, one heading line and one table each."""
    return "\n".join(_markdown(table) for table in tables(rows, per_label=per_label))


def _markdown(table: Table) -> str:
    lines = [f"**{escape_markdown(table.title, 4 * LONGEST)}**", "", _line(table.columns)]
    lines += ["|" + " --- |" * len(table.columns), *(_line(row) for row in table.rows)]
    return "\n".join([*lines, "", f"<sub>{escape_markdown(table.note, 20 * LONGEST)}</sub>", ""])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(escape_markdown(cell) for cell in cells) + " |"


def escape_markdown(text: str, longest: int = LONGEST) -> str:
    """Text as Markdown shows it verbatim: no markup, no HTML, no new cell."""
    plain = re.sub(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w))", r"\\\1", visible(text, longest))
    return html.escape(plain, quote=False)


def fill(text: str, rows: Sequence[Row]) -> str:
    """The text with each block from `<!-- table:NAME -->` to `<!-- /table -->` made anew; NAME is a dataset or a glob.

    Raises:
        BenchError: no block, or a block for which there is no row.
    """
    datasets = sorted({row.section.dataset for row in rows})

    def block(match: re.Match[str]) -> str:
        chosen = [row for row in rows if fnmatch(row.section.dataset, match[2])]
        if not chosen:
            raise BenchError(
                f"no record for the table '{match[2]}'", mend=f"datasets with records: {', '.join(datasets)}"
            )
        return f"{match[1]}\n{markdown(chosen)}\n{match[3]}"

    filled, blocks = _MARKER.subn(block, text)
    if not blocks:
        raise BenchError(
            "no block to fill", mend="write <!-- table:DATASET --> and <!-- /table --> on lines of their own"
        )
    return filled


def csv_text(rows: Sequence[Row]) -> str:
    """One line per row and label, all statistics in full precision; a name never starts a formula."""
    definitions = sorted({definition for row in rows for definition in row.macro})
    facts = [
        name
        for name in Row.__struct_fields__
        if name not in {"section", "macro", "labels", "runs", "method", "intervals", "standings"}
    ]
    where = [name for name in type(rows[0].section).__struct_fields__ if name != "definitions"] if rows else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*where, "method", "label", *facts, *(f"{d} {s}" for d in definitions for s in _STATISTICS)])
    for row in rows:
        for label, summaries in [(ALL_LABELS, row.macro), *row.labels.items()]:
            values = [getattr(summaries.get(d), s, None) for d in definitions for s in _STATISTICS]
            cells = [
                *(getattr(row.section, n) for n in where),
                row.method,
                label,
                *(getattr(row, n) for n in facts),
                *values,
            ]
            writer.writerow([_csv_cell(cell) for cell in cells])
    return out.getvalue()


def _csv_cell(value: object) -> object:
    # A spreadsheet runs text that starts like a formula. The apostrophe says text; one that is there gets a second.
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple("=+-@\t\r\n'")) else value


def json_text(rows: Iterable[Row]) -> str:
    """One row a line, keys sorted, everything in it."""
    return "".join(
        msgspec.json.encode(msgspec.to_builtins(row, order="sorted"), order="sorted").decode() + "\n" for row in rows
    )
