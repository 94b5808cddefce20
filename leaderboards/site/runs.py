"""The page of a run: what was done, on what, with which scores, and the record itself."""

from collections.abc import Iterable, Mapping

import msgspec

from converters.files import canonical_json
from leaderboards import columns
from leaderboards.columns import Block, Table
from leaderboards.record import CaseScore, Cost, Record
from leaderboards.site import curves
from leaderboards.site.content import Content, dataset_page, made_up, protocol_page
from leaderboards.site.page import Page, Shown
from leaderboards.summary import HEADLINE, bounds, cells, definitions, family, short, summaries
from leaderboards.variants import flat
from leaderboards.wording import Cell

_PREDICTION = "prediction:"

Facts = list[tuple[str, str]]


def run(content: Content, run: str) -> dict[str, bytes]:
    """The page of the record with this id, the record as JSON, its learning curve and its pictures."""
    record = content.records[run]
    page = Page(content.run_page(run))
    digests = {key: value for key, value in record.digests.items() if not key.startswith(_PREDICTION)}
    each = {key.removeprefix(_PREDICTION): v for key, v in record.digests.items() if key.startswith(_PREDICTION)}
    log = content.extras.logs.get(run)
    curve = page.figure("learning", curves.learning(log), "Loss terms while training.") if log else []
    return page.done(
        "run.html",
        run=run,
        record=record,
        made_up=made_up(record.dataset),
        dataset_page=page.root + dataset_page(record.dataset),
        protocol_page=page.root + protocol_page(record.dataset, record.protocol),
        in_table=run in content.shown,
        verified=columns.LEVELS[content.verified.get(run, 0)],
        summary=_summary(record),
        cases=_cases(record),
        failures=[score for score in record.cases if score.status in {"missed", "false", "invalid"}],
        figures=curve,
        pictures=_pictures(page, content, run),
        facts=_facts(record),
        recipe=_words(flat(record.recipe)),
        digests=_words(digests),
        predictions=_words(each),
        json=page.add("record.json", canonical_json(record)),
    )


def _summary(record: Record) -> Table:
    """Mean and spread of every metric, over labels and subjects."""
    lines = []
    measured = cells([record.cases], _ordered(definitions(record.cases)))
    for definition, (found, _) in summaries(measured).items():
        if found:
            spread = f"{_text(found.median, definition)} ({_text(found.q1, definition)}–{_text(found.q3, definition)})"
            mean = Cell(_text(found.mean, definition), found.mean)
            lines.append((Cell(definition), mean, Cell(spread, found.median), Cell(str(found.n), found.n)))
    block = Block("mean over labels of the mean over subjects", tuple(lines))
    return Table("Every metric of this run", ("definition", "mean", "median (IQR)", "test subjects"), (block,), ())


def _cases(record: Record) -> Table:
    headline = _ordered(d for d in definitions(record.cases) if family(d) in HEADLINE)
    lines = tuple(
        (
            Cell(score.case),
            Cell(score.label),
            Cell(score.status.replace("_", " ")),
            *(_value(score, definition) for definition in headline),
        )
        for score in record.cases
    )
    title = f"{len({score.case for score in record.cases})} cases"
    heads = ("case", "label", "status", *(short(definition) for definition in headline))
    notes = ("An empty cell has no value: one side is empty, or both are. What it counts for is in docs/metrics.md.",)
    return Table("Every case and label", heads, (Block(title, lines),), notes)


def _ordered(definitions: Iterable[str]) -> list[str]:
    """Shares first, then what is in mm, mL or %."""
    return sorted(set(definitions), key=lambda definition: (not _share(definition), definition))


def _share(definition: str) -> bool:
    return bounds(definition)[1] == 1.0


def _value(score: CaseScore, definition: str) -> Cell:
    value = score.metrics.get(definition)
    return Cell("") if value is None else Cell(_text(value, definition), value)


def _text(value: float, definition: str) -> str:
    return f"{value:.3f}" if _share(definition) else f"{value:.1f}"


def _pictures(page: Page, content: Content, run: str) -> list[Shown]:
    shown = []
    for picture in content.extras.pictures.get(run, ()):
        path = page.add(f"{picture.rank}.png", picture.png)
        what = f"{picture.rank} case by Dice: {picture.case}, {picture.dice:.3f}"
        alt = f"Slices of {picture.case} with the contours of the reference and of the prediction; {what}"
        shown.append(Shown(path, path, alt, what))
    return shown


def _facts(record: Record) -> dict[str, Facts]:
    """Heading -> facts in words, for those there are."""
    costs = {"training": record.train, "prediction": record.predict}
    found = {
        "Labels seen": _words(msgspec.to_builtins(record.budget) if record.budget else {}),
        **{f"Cost of {phase}": _cost(cost) for phase, cost in costs.items() if cost},
        "Machine": _words(record.machine),
        "Code": _words(record.code),
        "Definitions": _words(record.definitions),
    }
    return {heading: facts for heading, facts in found.items() if facts}


def _cost(cost: Cost) -> Facts:
    return _words(msgspec.to_builtins(cost))


def _words(values: Mapping[str, object]) -> Facts:
    return [(key.replace("_", " "), _word(value)) for key, value in sorted(values.items()) if value is not None]


def _word(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_word, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_word(part)}" for key, part in value.items())
    return f"{value:,}".replace(",", " ") if isinstance(value, int) and not isinstance(value, bool) else str(value)
