"""Rows -> tables for people: which columns, how a number reads, what is said once below."""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from leaderboards import tasks, wording
from leaderboards.gain import BOUND
from leaderboards.section import Section
from leaderboards.standing import named
from leaderboards.summary import HEADLINE, family, leading, ranked, short
from leaderboards.table import Row
from leaderboards.wording import ONE_SEED, Cell

SHOWN = {"dice", "hd95", "nsd", *tasks.HEADLINE}  # the other metrics are in CSV and JSON
LEVELS = ("0 rules", "1 re-scored", "2 re-inferred")


class Block(NamedTuple):
    """The rows of one section: what may be compared, ranked and sorted together, and nothing else."""

    title: str
    rows: tuple[tuple[Cell, ...], ...]


class Table(NamedTuple):
    """Blocks of one dataset, split and set of definitions under one heading. Text is not yet escaped for any format."""

    title: str
    columns: tuple[str, ...]  # the first names the row; from the right they matter less and less
    blocks: tuple[Block, ...]
    notes: tuple[str, ...]  # lines below
    unsorted: tuple[str, ...] = ()  # columns with numbers of several machines: never to be put in order

    @property
    def rows(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows of all blocks."""
        return tuple(row for block in self.blocks for row in block.rows)

    @property
    def note(self) -> str:
        """The lines below as one."""
        return "; ".join(self.notes)


class _Column(NamedTuple):
    name: str
    cell: Callable[[Row], Cell]
    fold: bool = False  # the same in all rows: said once, below the table
    speed: bool = False
    detail: bool = False  # left out of a brief table


def tables(rows: Iterable[Row], *, per_label: bool = False, brief: bool = False) -> list[Table]:
    """One table per dataset, split and set of definitions, one block per section, in the order of the rows.

    `brief`: scores and their intervals, without ranks, claims and speeds.
    """
    return [_table(members, per_label, brief) for members in by_table(rows)]


def by_table(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each table."""
    return [list(members) for _, members in itertools.groupby(rows, lambda row: row.section.table())]


def by_section(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each block."""
    return [list(members) for _, members in itertools.groupby(rows, lambda row: row.section)]


def _table(rows: Sequence[Row], per_label: bool, brief: bool) -> Table:
    columns = [_Column("method", lambda row: Cell(name(row))), *_scores(rows, per_label), *_ranks(rows), *_facts()]
    columns = [c for c in columns if not (brief and c.detail)]
    same = [c for c in columns if c.fold and len({c.cell(row) for row in rows}) == 1]
    shown = [c for c in columns if c not in same and any(c.cell(row).text for row in rows)]
    sections, shared = by_section(rows), shared_fields(rows)
    blocks = [
        Block(section_title(members[0].section, shared), tuple(tuple(c.cell(row) for c in shown) for row in members))
        for members in sections
    ]
    facts = [f"{field}: {value}" for field in shared if (value := getattr(rows[0].section, field))]
    facts += [f"{c.name}: {c.cell(rows[0]).text}" for c in same if c.cell(rows[0]).text]
    facts += [f"definitions: {_definitions(rows[0].section.definitions)}"]
    left_out = sum(row.both_empty for row in rows)
    facts += [f"absent from reference and prediction, left out: {left_out}"] if left_out else []
    notes = ["; ".join(facts), *_intervals_said(rows), *([] if brief else _verdicts(sections, blocks))]
    mixed = len({row.machine for row in rows}) > 1
    return Table(
        title=table_title(rows[0].section),
        columns=tuple(c.name for c in shown),
        blocks=tuple(blocks),
        notes=tuple(notes),
        unsorted=tuple(c.name for c in shown if c.speed and mixed),
    )


def table_title(of: Section) -> str:
    """What all blocks of a table share, in words."""
    title = [of.dataset, f"split {of.split}", f"content {of.content[:12] or 'unknown'}"]
    if of.dataset.startswith("phantom"):
        title.insert(1, "made-up patients")
    title += [f"task {of.task}"] if of.task != "labels" else []
    title += [f"fold {of.fold}"] if of.fold else []
    return " · ".join(title)


def shared_fields(rows: Sequence[Row]) -> list[str]:
    """What a block need not say, because it is the same for the whole table."""
    return [field for field in ("draw", "selection") if len({getattr(row.section, field) for row in rows}) == 1]


def section_title(of: Section, shared: Collection[str] = ()) -> str:
    """What sets a block apart from the others of its table, in words; `shared` fields are said below the table."""
    version = of.protocol_version
    parts = {
        "protocol": version if version.startswith(of.protocol) else of.protocol,
        "annotator": f"labels seen: {of.annotator}",
        "draw": f"draw {of.draw}" if of.draw else "",
        "selection": f"selection {of.selection}",
    }
    return " · ".join(part for field, part in parts.items() if part and field not in shared)


def name(row: Row) -> str:
    """A row in words, as standings name it."""
    return f"{row.method} ({row.variant})" if row.variant else row.method


def _definitions(versions: Mapping[str, str]) -> str:
    """Versions of the metrics that are shown, and of what else numbers hang on."""
    told = {key: value for key, value in versions.items() if family(key) in SHOWN or family(key) not in HEADLINE}
    return ", ".join(value if short(value) == key else f"{key} {value}" for key, value in sorted(told.items()))


def _scores(rows: Sequence[Row], per_label: bool) -> list[_Column]:
    definitions = sorted({definition for row in rows for definition in row.macro})
    labels = dict.fromkeys(label for row in rows for label in row.labels) if per_label else ()
    columns = []
    for definition in (d for d in definitions if family(d) == "dice"):
        columns += [
            _Column("Dice", partial(wording.mean, definition=definition)),
            _Column("95 % interval", partial(wording.interval, definition=definition)),
            _Column(f"Dice over {BOUND}", partial(wording.gain, definition=definition)),
        ]
        columns += [
            _Column(f"Dice {label}", partial(wording.mean, definition=definition, label=label)) for label in labels
        ]
    columns += [
        _Column("HD95 mm, median (IQR)", partial(wording.spread, definition=d))
        for d in definitions
        if family(d) == "hd95"
    ]
    # The most lenient tolerance; the others are in CSV and JSON.
    lenient = [definition for definition in ranked(definitions) if family(definition) == "nsd"]
    columns += [_Column(_metric(d), partial(wording.mean, definition=d)) for d in lenient]
    return columns + [
        _Column(
            told.heading,
            partial(
                wording.interval if told.interval else wording.mean, definition=told.definition, digits=told.digits
            ),
        )
        for told in tasks.shown(definitions)
    ]


def _ranks(rows: Sequence[Row]) -> list[_Column]:
    definitions = sorted({definition for row in rows for definition in row.standings})
    return [_Column(f"rank by {_metric(d)}", partial(wording.rank, definition=d), detail=True) for d in definitions]


def _metric(definition: str) -> str:
    return tasks.title(definition) or short(definition).replace("nsd", "NSD").replace("dice", "Dice")


def _facts() -> list[_Column]:
    return [
        _Column("test subjects", lambda row: Cell(str(row.subjects), row.subjects), fold=True),
        _Column("seeds", wording.repeats, fold=True),
        _Column("missed / false / invalid", lambda row: Cell(f"{row.missed}/{row.false}/{row.invalid}"), fold=True),
        _Column("verified", lambda row: Cell(LEVELS[row.verified], row.verified), fold=True),
        # Before the speeds: where a terminal has no room they go first, so no speed stands without its machine.
        _Column("machine", lambda row: Cell(row.machine), fold=True),
        _Column("train samples /s", lambda row: wording.number(row.train_items_per_s), speed=True, detail=True),
        _Column("s/case", lambda row: wording.number(row.seconds_per_case), speed=True, detail=True),
        _Column("peak MiB", wording.peak, speed=True, detail=True),
    ]


def _intervals_said(rows: Sequence[Row]) -> list[str]:
    told = [row.intervals[definition] for row in rows for definition in leading(row.intervals)]
    alone = not all(interval.seeds for interval in told)
    return (
        [f"{ONE_SEED} one seed: the interval holds patients alone, not what another seed would change"] if alone else []
    )


def _verdicts(sections: Sequence[Sequence[Row]], blocks: Sequence[Block]) -> list[str]:
    """What the tests say of the rows of each block; the same words are said once."""
    lines: dict[tuple[str, str], list[str]] = {}
    for rows, block in zip(sections, blocks, strict=True):
        metrics: dict[str, list[str]] = {}
        for definition in sorted({definition for row in rows for definition in row.standings}):
            metrics.setdefault(_verdict(rows, definition), []).append(_metric(definition))
        for text, names in metrics.items():
            lines.setdefault((text, " and ".join(names)), []).append(block.title)
    return [f"{' / '.join(titles)}, by {names}: {text}" for (text, names), titles in lines.items()]


def _verdict(rows: Sequence[Row], definition: str) -> str:
    who: dict[str, list[str]] = {}
    apart = []
    for row in rows:
        if (standing := row.standings.get(definition)) is None:
            continue
        who.setdefault(standing.verdict, []).append(name(row))
        if standing.unstable:
            apart.append(f"{name(row)} {standing.rank_then_mean:.1f}, not {standing.rank}")
    said = [*who] if len(who) == 1 else [f"{named(names)}: {verdict}" for verdict, names in who.items()]
    return ". ".join([*said, *([f"patient by patient other ranks: {named(apart)}"] if apart else [])])
