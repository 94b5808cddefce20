"""The pages of a site above its runs: the index, a dataset, a dataset under a protocol."""

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from converters.files import natural_key
from leaderboards import clinical, columns
from leaderboards.record import Record
from leaderboards.site import curves, efficiency, plots, tables
from leaderboards.site.content import Content, dataset_page, made_up, protocol_page
from leaderboards.site.page import Page, Shown
from leaderboards.site.plots import Column
from leaderboards.standing import Standing
from leaderboards.summary import bounds, family, leading, ranked, run_means
from leaderboards.table import Row, machine

Files = dict[str, bytes]
_WORTH = (
    ("efficiency", efficiency.shares, "Label efficiency"),
    ("budget", efficiency.budgets, "Score against annotation budget"),
)
_INTERVALS = "95 % intervals over patients and seeds; of one seed, over patients alone."


class _Protocol(NamedTuple):
    name: str
    href: str
    rows: int
    runs: int
    subjects: int
    best: str  # the row of highest Dice, or what its task has in the place of Dice
    measure: str  # what that is
    score: str


class _Dataset(NamedTuple):
    name: str
    href: str
    labels: str
    protocols: list[_Protocol]


class _Run(NamedTuple):
    row: str
    href: str
    id: str
    seed: int
    draw: str
    score: float | None  # mean of what the rows are put in order by
    shown: str
    failed: int
    machine: str
    verified: str


def index(content: Content) -> Files:
    """What there is: datasets and their protocols, rankings over datasets, what was left out."""
    page = Page("index.html")
    parts = []
    for phantoms in (False, True):
        names = [name for name in content.datasets if made_up(name) is phantoms]
        parts.append(
            {
                "datasets": [_dataset(content, name) for name in names],
                "overall": tables.over_datasets(content, names),
                "figures": _ranks_over_datasets(page, content, names),
            }
        )
    return page.done(
        "index.html",
        real=parts[0],
        phantoms=parts[1],
        runs=len(content.records),
        rows=len(content.rows),
        problems=content.problems,
        lone=[(run[:12], content.run_page(run)) for run in content.lone()],
        meanings=tables.meanings(content.rows),
    )


def dataset(content: Content, name: str) -> Files:
    """All protocols of a dataset in one table, and what the labels are worth."""
    page = Page(dataset_page(name))
    rows = content.of(name)
    shown: list[Shown] = []
    for number, members in enumerate(columns.by_table(rows)):
        for definition in tables.first(members):
            title = columns.table_title(members[0].section)
            for stem, draw, what in _WORTH:
                caption = f"{what}, {title}. The band spans the runs of a method."
                shown += page.figure(f"{stem}-{number}", draw(content.groups(members), definition), caption)
        panels = [
            Column(section[0].section.protocol, _standings(section, definition))
            for definition in ranked(members[0].macro)[:1]
            for section in sorted(columns.by_section(members), key=lambda rows: natural_key(rows[0].section.protocol))
        ]
        by = _measure(tables.first(members))
        drawn = plots.ranks(panels, f"rank by {by}")
        shown += page.figure(f"ranks-{number}", drawn, f"Rank by {by} under each protocol. {_INTERVALS}")
    return page.done(
        "dataset.html",
        dataset=name,
        made_up=made_up(name),
        labels=_labels(rows),
        tables=[*columns.tables(rows), *content.planned(name)],
        figures=shown,
        protocols=_dataset(content, name).protocols,
        meanings=tables.meanings(rows),
    )


def protocol(content: Content, dataset: str, name: str) -> Files:
    """Every table, figure and test of a dataset under a protocol, and its runs."""
    page = Page(protocol_page(dataset, name))
    rows = content.datasets[dataset][name]
    measured = clinical.measure(rows, chain.from_iterable(content.runs(row) for row in rows))
    sections = columns.by_section(rows)
    return page.done(
        "protocol.html",
        dataset=dataset,
        protocol=name,
        made_up=made_up(dataset),
        tables=columns.tables(rows),
        figures=[
            figure for number, members in enumerate(sections) for figure in _figures(page, content, number, members)
        ],
        per_label=[tables.per_label(members) for members in columns.by_table(rows)],
        clinical=clinical.tables(rows, measured),
        pairs=[made for members in sections for made in tables.pairs(content, members)],
        runs=[run for row in rows for run in _runs(page, content, row)],
        measure=", ".join(dict.fromkeys(_measure(tables.first(members)) for members in sections)),
        meanings=tables.meanings(rows),
    )


def _dataset(content: Content, name: str) -> _Dataset:
    protocols = [_protocol(name, protocol, rows) for protocol, rows in content.datasets[name].items()]
    return _Dataset(name, dataset_page(name), _labels(content.of(name)), protocols)


def _protocol(dataset: str, name: str, rows: Sequence[Row]) -> _Protocol:
    # Rows of several sections have no common best.
    best = rows[0] if len(columns.by_section(rows)) == 1 else None
    first = next(iter(tables.first(rows[:1])), None)
    found = best.macro[first] if best and first else None
    return _Protocol(
        name=name,
        href=protocol_page(dataset, name),
        rows=len(rows),
        runs=sum(len(row.runs) for row in rows),
        subjects=max(row.subjects for row in rows),
        best=columns.name(best) if best and found else "",
        measure=_measure([first] if first else []),
        score=_number(found.mean, first) if found and first else "",
    )


def _labels(rows: Sequence[Row]) -> str:
    return ", ".join(dict.fromkeys(label for row in rows for label in row.labels))


def _standings(members: Sequence[Row], definition: str) -> dict[str, Standing]:
    return {columns.name(row): row.standings[definition] for row in members if definition in row.standings}


def _figures(page: Page, content: Content, number: int, members: Sequence[Row]) -> list[Shown]:
    groups = content.groups(members)
    title = columns.section_title(members[0].section, columns.shared_fields(members))
    shown: list[Shown] = []
    for definition in (*tables.first(members), *tables.of(members, "hd95")):
        caption = (
            f"{plots.metric(definition)} of each test case, mean of its repeats. {title}. Box: quartiles; "
            "whiskers: last case within 1.5 times that; cross: missed, false or not predicted."
        )
        shown += page.figure(f"boxes-{family(definition)}-{number}", plots.boxes(groups, definition), caption)
    panels = [
        Column(f"by {plots.metric(definition)}", _standings(members, definition))
        for definition in ranked(d for row in members for d in row.macro)
    ]
    shown += page.figure(f"ranks-{number}", plots.ranks(panels, "rank"), f"{title}: ranks. {_INTERVALS}")
    for definition in tables.first(members):
        for i, (place, drawn) in enumerate(curves.speed(groups, definition).items()):
            caption = (
                f"{title}: mean {_measure([definition])} of every run against the time to predict a case on {place}."
            )
            shown += page.figure(f"speed-{number}-{i}", drawn, caption)
    return shown


def _runs(page: Page, content: Content, row: Row) -> list[_Run]:
    return [_run(page, content, columns.name(row), record) for record in content.runs(row)]


def _run(page: Page, content: Content, name: str, record: Record) -> _Run:
    run = record.id()
    first = next((d for score in record.cases for d in leading(score.metrics)), None)
    found = run_means([record.cases], first) if first else []
    return _Run(
        row=name,
        href=page.root + content.run_page(run),
        id=run[:12],
        seed=record.seed,
        draw=record.draw,
        score=found[0] if found else None,
        shown=_number(found[0], first) if found and first else "",
        failed=sum(score.status in {"missed", "false", "invalid"} for score in record.cases),
        machine=machine(record),
        verified=columns.LEVELS[content.verified.get(run, 0)],
    )


def _measure(definitions: Sequence[str]) -> str:
    """What rows are put in order by, in words."""
    return plots.metric(definitions[0]) if definitions else "Dice"


def _number(value: float, definition: str) -> str:
    return f"{value:.3f}" if bounds(definition)[1] == 1 else f"{value:.2f}"


def _ranks_over_datasets(page: Page, content: Content, names: Sequence[str]) -> list[Shown]:
    shown = []
    for number, name in enumerate(dict.fromkeys(p for dataset in names for p in content.datasets[dataset])):
        panels = [
            Column(dataset, _standings(members, definition))
            for dataset in names
            for members in columns.by_section(tables.of_labels(content.datasets[dataset].get(name, ())))
            for definition in ranked(members[0].macro)[:1]
        ]
        panels = [panel for panel in panels if panel.standings]
        if len(panels) > 1:
            kind = "phantoms" if made_up(names[0]) else "ranks"
            drawn = plots.ranks(panels, "rank by Dice")
            caption = f"{name}: rank by Dice in each dataset. {_INTERVALS}"
            shown += page.figure(f"{kind}-{number}", drawn, caption)
    return shown
