"""Records -> rows: which may stand in one table, which are repeats of one another, what each says."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import msgspec

from converters.files import Strict, digest
from leaderboards import forked, tasks
from leaderboards.contributions import intervals
from leaderboards.gain import gains
from leaderboards.record import Cost, Record
from leaderboards.scope import agreeing, told
from leaderboards.section import Section
from leaderboards.standing import Key, Standing, scores, standings_of
from leaderboards.summary import (
    Cells,
    Interval,
    Summary,
    cells,
    definitions,
    direction,
    leading,
    ranked,
    summaries,
)
from leaderboards.variants import HANDED_IN, PRESET, settings, variants

_T = TypeVar("_T")
Named = tuple[str, ...]  # settings
UNVERIFIED: Mapping[str, int] = MappingProxyType({})


class Group(NamedTuple):
    """Repeats (seeds, draws) of one method with one recipe in one section."""

    section: Section
    method: str
    variant: str  # what its recipe has different from other groups of the method in this section
    records: tuple[Record, ...]  # by seed and draw


class Row(Strict):
    """One line of a table: a method with one recipe, in one section."""

    section: Section
    method: str
    variant: str  # what its recipe has different from other rows of the method in this section
    seeds: int
    draws: int
    subjects: int
    both_empty: int  # counts over cases, labels and repeats
    missed: int
    false: int
    invalid: int
    macro: dict[str, Summary]  # definition id -> over all labels
    labels: dict[str, dict[str, Summary]]
    train_items_per_s: float | None
    seconds_per_case: float | None
    peak_host_mib: float | None
    peak_device_mib: float | None
    parameters: int
    machine: str
    runs: tuple[str, ...]  # record ids, so that a number can be traced
    verified: int  # the lowest verification level over its records: 0, 1 or 2
    intervals: dict[str, Interval]  # definition id -> of the macro mean; none where there is but one patient
    standings: dict[str, Standing]  # Dice and the NSD of largest tolerance; none for a lone row or a single patient
    gains: dict[str, Interval]  # of the same: what it adds to `supervised` with the same labels and settings


def rows(records: Iterable[Record], verified: Mapping[str, int] = UNVERIFIED) -> tuple[list[Row], list[str]]:
    """Rows in the order of the tables, best first in each section; and a sentence for each record left out.

    `verified`: record id -> level of verification, 0 where it is not there.
    """
    found, problems = groups(records, verified)
    sections: dict[str, list[Group]] = defaultdict(list)
    for group in found:
        sections[digest(group.section)].append(group)
    members = [*sections.values()]
    processes = forked.jobs(sum(len(group.records) for group in found))
    answers = forked.each(lambda number: _rows(members[number], verified), len(members), processes)
    return sorted((row for _, made in answers for row in made), key=_order), problems


def groups(records: Iterable[Record], verified: Mapping[str, int] = UNVERIFIED) -> tuple[list[Group], list[str]]:
    """What a row is made of, before it is summed up; and a sentence for each record left out.

    `verified`: as in `rows`. Where two records contradict each other, it says which to believe.
    """
    problems: list[str] = []
    tables: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        tables[Section.of(record).table()].append(record)
    sections: dict[tuple[str, Named], list[Record]] = defaultdict(list)
    for members in tables.values():
        kept = agreeing(members, verified, problems)
        # Where presets meet under one heading, each row says its own; a row from elsewhere always says that it is.
        several = len({record.recipe[PRESET] for record in kept if PRESET in record.recipe}) > 1
        named = (PRESET, HANDED_IN) if several else (HANDED_IN,)
        for record in kept:
            sections[digest([Section.of(record), record.method]), named].append(record)
    made = [_method_groups(sections[key], verified, problems, key[1]) for key in sorted(sections)]
    return [group for some in made for group in some], problems


def _order(row: Row) -> tuple[object, ...]:
    of = row.section
    best = next((direction(d) * row.macro[d].mean for d in leading(row.macro)), 0.0)
    return (
        of.table(),
        of.protocol,
        of.protocol_version,
        of.draw,
        of.annotator,
        of.selection,
        -best,
        row.method,
        row.runs,
    )


def _method_groups(
    members: Sequence[Record], verified: Mapping[str, int], problems: list[str], named: Named
) -> list[Group]:
    """The groups of one method in one section: one per recipe, which tells `named` settings in any case."""
    recipes: dict[str, dict[str, object]] = {}
    found: dict[str, dict[tuple[int, str], Record]] = defaultdict(dict)
    for record in sorted(members, key=lambda record: (-verified.get(record.id(), 0), record.id())):
        recipe = settings(record)
        key = digest(recipe)
        recipes[key] = recipe
        first = found[key].setdefault((record.seed, record.draw), record)
        if first is not record:
            problems.append(f"{told(record)}: the same run as record {first.id()[:12]}; counted once")
    names = variants(recipes, named)
    section, method = Section.of(members[0]), members[0].method
    return [
        Group(section, method, names[key], tuple(found[key][repeat] for repeat in sorted(found[key])))
        for key in sorted(found)
    ]


def _rows(members: Sequence[Group], verified: Mapping[str, int]) -> list[Row]:
    """The rows of one section."""
    known = [_cells(group) for group in members]
    made = [_row(group, cells, verified) for group, cells in zip(members, known, strict=True)]
    if len(made) < 2:
        return made
    of = {d: scores(members, d, known) for d in ranked(definition for row in made for definition in row.macro)}
    placed = {definition: standings_of(found, direction(definition)) for definition, found in of.items()}
    gained = {definition: gains(found) for definition, found in of.items()}
    return [msgspec.structs.replace(row, standings=_mine(row, placed), gains=_mine(row, gained)) for row in made]


def _mine(row: Row, found: Mapping[str, Mapping[Key, _T]]) -> dict[str, _T]:
    """Of every definition what is a row's own."""
    return {d: by_row[key] for d, by_row in found.items() if (key := (row.method, row.variant)) in by_row}


def _cells(group: Group) -> Cells:
    measured = definitions(score for record in group.records for score in record.cases)
    return cells([record.cases for record in group.records], sorted(measured | tasks.derived(measured)))


def _row(group: Group, found: Cells, verified: Mapping[str, int]) -> Row:
    records = group.records
    scores = [score for record in records for score in record.cases]
    told = summaries(found)
    statuses = [score.status for score in scores]
    trained = [record.train for record in records if record.train]
    predicted = [record.predict for record in records if record.predict]
    machines = sorted({machine(record) for record in records})
    speeds = _speeds(trained, predicted) if len(machines) == 1 else (None, None)
    return Row(
        section=group.section,
        method=group.method,
        variant=group.variant,
        seeds=len({record.seed for record in records}),
        draws=len({record.draw for record in records}),
        subjects=len({score.subject for score in scores}),
        both_empty=statuses.count("both_empty"),
        missed=statuses.count("missed"),
        false=statuses.count("false"),
        invalid=statuses.count("invalid"),
        macro={d: summary for d, (summary, _) in told.items() if summary is not None},
        labels={
            label: {d: each[label] for d, (_, each) in told.items() if label in each}
            for label in dict.fromkeys(score.label for score in scores)
        },
        train_items_per_s=speeds[0],
        seconds_per_case=speeds[1],
        peak_host_mib=max((cost.peak_host_mib for cost in (*trained, *predicted)), default=None),
        peak_device_mib=max(
            (c.peak_device_mib for c in (*trained, *predicted) if c.peak_device_mib is not None), default=None
        ),
        parameters=records[0].parameters,
        machine=", ".join(machines),
        runs=(runs := tuple(sorted(record.id() for record in records))),
        verified=min(verified.get(run, 0) for run in runs),
        intervals=intervals(found),
        standings={},
        gains={},
    )


def _speeds(trained: Sequence[Cost], predicted: Sequence[Cost]) -> tuple[float | None, float | None]:
    """Samples per second of training, seconds per predicted case, on one machine."""
    rate = statistics.median(cost.items_per_s for cost in trained) if trained else None
    cases = sum(cost.items for cost in predicted)
    # All seconds by all cases: a mean of rates would let the quick run hide the slow one.
    return rate, sum(cost.seconds for cost in predicted) / cases if cases else None


def machine(record: Record) -> str:
    """What a run ran on, in a few words."""
    facts = record.machine
    if "gpu" in facts:
        return facts["gpu"]
    cores = facts.get("cores", "?")
    return f"{facts['cpu']}, {cores} {'core' if cores == '1' else 'cores'}" if "cpu" in facts else "unknown"
