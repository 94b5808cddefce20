"""Two sets of records -> what moved between them, row by row, and whether a gate lets it pass."""

from collections.abc import Iterable, Mapping, Sequence

from converters.files import digest
from leaderboards import judge
from leaderboards.change import Change, change
from leaderboards.gate import Limits
from leaderboards.record import Record
from leaderboards.table import UNVERIFIED, Group, groups
from leaderboards.variants import flat, settings

_VERSIONS = {"content": "dataset content", "split_content": "split", "protocol_version": "protocol version"}


def compare(
    base: Iterable[Record], new: Iterable[Record], limits: Limits, verified: Mapping[str, int] = UNVERIFIED
) -> tuple[list[Change], list[str]]:
    """Every row of `base` beside the row of `new` with the same data, definitions, method and recipe.

    A row without such a partner is `missing`, or `not compared` where dataset content, split or definitions differ;
    both fail, for what is not compared cannot pass. Further rows of `new` are told as `extra`. `verified`: as in
    `table.rows`.
    """
    (before, problems), (after, more) = groups(base, verified), groups(new, verified)
    before, after = sorted(before, key=_order), sorted(after, key=_order)
    changes = [one for group in before for one in _row(group, after, limits)]
    partners = [_partner(group, after) for group in before]
    changes += [change(group, verdict="extra", why=_beside(group, before)) for group in after if group not in partners]
    return changes, [*(f"BASE: {problem}" for problem in problems), *(f"NEW: {problem}" for problem in more)]


def chosen(records: Iterable[Record], wanted: Iterable[tuple[str, frozenset[str]]]) -> list[Record]:
    """The records that have one of the wanted values in each named field, or recipe key (`train.precision`)."""
    keys = list(wanted)
    return [record for record in records if all(_value(record, key) in values for key, values in keys)]


def _value(record: Record, key: str) -> str:
    return str(getattr(record, key) if key in record.__struct_fields__ else flat(record.recipe).get(key))


def _place(group: Group) -> list[object]:
    """What two rows share that a person would call the same, whatever their data, definitions and recipe are."""
    of = group.section
    return [of.dataset, of.split, of.task, of.fold, of.protocol, of.annotator, of.draw, of.selection, group.method]


def _order(group: Group) -> tuple[str, ...]:
    return (group.section.dataset, group.section.protocol, group.method, group.variant, group.records[0].id())


def _identity(group: Group) -> str:
    return digest([_place(group), settings(group.records[0])])


def _row(base: Group, after: Sequence[Group], limits: Limits) -> list[Change]:
    """All changes of one row."""
    new = _partner(base, after)
    if new is None:
        return [change(base, verdict="missing", why=_other_recipe(base, after))]
    if differences := _differences(base, new):
        return [change(base, verdict="not compared", why=differences)]
    return [*judge.scores(base, new, limits), *judge.speed(base, new)]


def _partner(base: Group, after: Iterable[Group]) -> Group | None:
    partners = [group for group in after if _identity(group) == _identity(base)]
    return next((group for group in partners if group.section == base.section), next(iter(partners), None))


def _beside(new: Group, before: Iterable[Group]) -> str:
    """Why a row of NEW has no counterpart."""
    known = [group for group in before if _identity(group) == _identity(new)]
    return f"in BASE with other data: {_differences(known[0], new)}" if known else "not in BASE"


def _other_recipe(base: Group, after: Iterable[Group]) -> str:
    for group in after:
        if _place(group) == _place(base):
            apart = _apart(*(settings(side.records[0]) for side in (base, group)))
            return f"not in NEW, which has it with another recipe: {apart}"
    return "not in NEW"


def _differences(base: Group, new: Group) -> str:
    """Why two rows cannot be compared; empty where they can."""
    before, after = base.section, new.section
    sides = [
        {words: getattr(of, field) for field, words in _VERSIONS.items()} | of.definitions for of in (before, after)
    ]
    found = _apart(*sides)
    return found or ("" if _scored(base) == _scored(new) else "other cases or labels are scored")


def _apart(before: Mapping[str, object], after: Mapping[str, object]) -> str:
    """The keys whose values differ, with both values in short; three of them."""
    differ = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    told = ", ".join(f"{key} {before.get(key)!s:.24} / {after.get(key)!s:.24}" for key in differ[:3])
    return f"{told} ..." if len(differ) > 3 else told


def _scored(group: Group) -> set[tuple[str, str]]:
    return {(score.case, score.label) for record in group.records for score in record.cases}
