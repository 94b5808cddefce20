"""One ranking over several datasets and metrics: the mean of the ranks, with an interval."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from converters.files import Strict, digest
from leaderboards import statistics
from leaderboards.standing import Key, Scores, name, resampled, scores
from leaderboards.statistics import Array
from leaderboards.summary import ranked, short
from leaderboards.table import Group


class Overall(Strict):
    """A row over all tables in which it and its rivals stand."""

    method: str
    variant: str
    place: int  # by the mean rank; the same mean shares the best place
    rank: float  # mean over tables, each a section and a metric of Dice and NSD
    low: float  # 95 % interval of the mean rank, hierarchical bootstrap
    high: float
    first: float  # P(place 1)
    ranks: dict[str, int]  # table -> rank there, among the rows of this ranking


def overall(groups: Sequence[Group]) -> tuple[list[Overall], list[str]]:
    """The rows that stand in every table of `groups`, best mean rank first; and a sentence for each left out.

    A table is a section, for Dice or for the NSD of largest tolerance. Give the groups of one protocol: each section
    counts the same. Empty where fewer than two rows are left.
    """
    tables, problems = _tables(groups)
    present = [{key(group) for group in found.groups} for found in tables.values()]
    kept = sorted(set.intersection(*present)) if present else []
    for group in sorted({key(group): group for group in groups}.values(), key=key):
        lacking = [table for table, rows in zip(tables, present, strict=True) if key(group) not in rows]
        if lacking:
            problems.append(f"{name(group)}: not in {', '.join(lacking)}; left out of the overall ranking")
    if len(kept) < 2:
        return [], problems
    return _rank({table: _only(found, kept) for table, found in tables.items()}, kept), problems


def key(group: Group) -> Key:
    """What a row is called in every section."""
    return group.method, group.variant


def _tables(groups: Sequence[Group]) -> tuple[dict[str, Scores], list[str]]:
    """Title -> scores, in the order of datasets; and a sentence for each that holds a single patient."""
    sections: dict[tuple[str, str], list[Group]] = defaultdict(list)
    for group in groups:
        of = group.section
        title = " ".join(filter(None, (of.dataset, of.protocol, of.annotator, of.draw)))
        sections[title, digest(of)].append(group)
    titles = [title for title, _ in sections]
    found, problems = {}, []
    for (title, identity), members in sorted(sections.items()):
        metrics = {d for group in members for record in group.records for score in record.cases for d in score.metrics}
        # Two sections may read the same and differ in a digest.
        where = title if titles.count(title) == 1 else f"{title} {identity[:8]}"
        for definition in ranked(metrics):
            made = scores(members, definition)
            if made.patients > 1:
                found[f"{where} {short(definition)}"] = made
            else:
                problems.append(f"{where} {short(definition)}: one patient is no ground for a rank; left out")
    return found, problems


def _only(found: Scores, rows: Sequence[Key]) -> Scores:
    places = {key(group): i for i, group in enumerate(found.groups)}
    return Scores([found.groups[places[row]] for row in rows], [found.arrays[places[row]] for row in rows])


def _rank(tables: Mapping[str, Scores], rows: Sequence[Key]) -> list[Overall]:
    ranks = {table: _ranks(np.array([[array.mean() for array in found.arrays]]))[0] for table, found in tables.items()}
    drawn = np.mean([_ranks(resampled(found)) for found in tables.values()], axis=0)
    low, high = statistics.percentiles(drawn)
    first = (statistics.ranks(drawn, method="min") == 1).mean(0)
    means = np.mean(list(ranks.values()), axis=0)
    places = statistics.ranks(means, method="min")
    made = [
        Overall(
            method=method,
            variant=variant,
            place=int(places[i]),
            rank=float(means[i]),
            low=float(low[i]),
            high=float(high[i]),
            first=float(first[i]),
            ranks={table: int(found[i]) for table, found in ranks.items()},
        )
        for i, (method, variant) in enumerate(rows)
    ]
    return sorted(made, key=lambda row: (row.place, row.method, row.variant))


def _ranks(means: Array) -> Array:
    return statistics.ranks(-means, method="min")
