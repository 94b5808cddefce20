"""Where each row of a section stands: ranks with intervals, and which differences are claimed."""

from collections.abc import Sequence
from itertools import combinations, zip_longest
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from converters.errors import BenchError
from converters.files import Strict, digest
from leaderboards import statistics
from leaderboards.contributions import contributions, only, tabulate
from leaderboards.statistics import Array, Ranking, SignedRank
from leaderboards.summary import Cells, direction

if TYPE_CHECKING:
    from leaderboards.table import Group

Key = tuple[str, str]  # method, variant

MEANINGFUL = 0.75  # P(A better than B) above which a difference matters; Bouthillier et al. 2021
_UNSTABLE = 1.0  # ranks


class Standing(Strict):
    """Where a row stands among the rows of its section, for one metric."""

    rank: int  # by the macro mean; rows with the same mean share the best rank
    low: int  # 95 % interval of the rank, hierarchical bootstrap
    high: int
    first: float  # P(rank 1)
    rank_then_mean: float  # mean of the ranks per patient: the stability check
    tied: tuple[str, ...]  # rows whose difference to this one is not claimed
    beats: tuple[str, ...]  # rows it is claimed to be better than
    verdict: str  # in words

    @property
    def unstable(self) -> bool:
        """Whether ranking patient by patient would move it by more than one place."""
        return abs(self.rank_then_mean - self.rank) > _UNSTABLE


class Pairwise(Strict):
    """Two rows of a section, one metric. Signs are those of the metric: a distance that is better is negative."""

    a: str
    b: str
    difference: float  # of the macro means, a - b
    low: float  # 95 %
    high: float
    df: float | None  # None where nothing varies
    patients: int
    seeds: tuple[int, int]
    wilcoxon: float  # p of the signed ranks over patients, Holm-adjusted over all pairs of the section
    two_way: float | None  # p over patients and seeds; None where a row has a single seed
    chance: float  # P(a better than b) over patients and seeds
    meaningful: bool  # whether that, or its converse, is above 0.75
    better: str | None  # the row that is claimed to be better


class Scores(NamedTuple):
    """The rows of one section that have a value for one metric, best first, as arrays in which higher is better."""

    groups: list["Group"]
    arrays: list[Array]  # (patients, seeds) each, the same patients

    @property
    def patients(self) -> int:
        """How many patients the rows share."""
        return len(self.arrays[0]) if self.arrays else 0


def name(group: "Group") -> str:
    """A row in words: its method, and what sets its recipe apart."""
    return f"{group.method} ({group.variant})" if group.variant else group.method


def scores(groups: Sequence["Group"], definition: str, known: Sequence[Cells] = ()) -> Scores:
    """The rows of a section as arrays; a row without any value is left out. `known`: the cells of each group.

    Raises:
        BenchError: rows of several sections, or a metric of which nobody said whether more is better.
    """
    if len({digest(group.section) for group in groups}) > 1:
        raise BenchError("rows of different sections cannot be compared", mend="one section at a time")
    if not direction(definition):
        raise BenchError(f"nobody said whether more {definition} is better", mend="leaderboards/summary.py")
    tables = [
        only(found, definition)
        if found and definition in found.definitions
        else tabulate([record.cases for record in group.records], definition)
        for group, found in zip_longest(groups, known)
    ]
    subjects = sorted({subject for table in tables for subject in table.subjects})
    made = [
        (group, direction(definition) * contributions(table, subjects))
        for group, table in zip(groups, tables, strict=True)
        if table.labels
    ]
    made.sort(key=lambda pair: (-float(pair[1].mean()), name(pair[0])))
    return Scores([group for group, _ in made], [array for _, array in made])


def pairwise(groups: Sequence["Group"], definition: str) -> list[Pairwise]:
    """Every pair of rows, in each the one with the better mean first; none where there are fewer than two patients."""
    return pairs_of(scores(groups, definition), direction(definition))


def pairs_of(found: Scores, way: int) -> list[Pairwise]:
    """As `pairwise`; `way` is 1, or -1 where the metric falls as it gets better."""
    pairs = list(combinations(range(len(found.groups)), 2))
    if not pairs or found.patients < 2:
        return []
    tests = [statistics.signed_rank(found.arrays[one].mean(1) - found.arrays[other].mean(1)) for one, other in pairs]
    adjusted = statistics.holm([test.p for test in tests])
    return [_pair(found, pair, test._replace(p=p), way) for pair, test, p in zip(pairs, tests, adjusted, strict=True)]


def _pair(found: Scores, pair: tuple[int, int], wilcoxon: SignedRank, way: int) -> Pairwise:
    a, b = (found.arrays[i] for i in pair)
    names = [name(found.groups[i]) for i in pair]
    estimate = statistics.difference(a, b)
    seeds = (a.shape[1], b.shape[1])
    two_way = float(estimate.p()) if min(seeds) > 1 else None
    low, high = sorted(way * float(bound) for bound in estimate.bounds())
    chance = statistics.chance(a, b)
    return Pairwise(
        a=names[0],
        b=names[1],
        difference=way * float(estimate.mean),
        low=low,
        high=high,
        df=statistics.freedom(float(estimate.df)),
        patients=len(a),
        seeds=seeds,
        wilcoxon=wilcoxon.p,
        two_way=two_way,
        chance=chance,
        meaningful=max(chance, 1 - chance) > MEANINGFUL,
        better=names[0] if statistics.claimed(wilcoxon, two_way, float(estimate.mean)) == 1 else None,
    )


def standings(groups: Sequence["Group"], definition: str, known: Sequence[Cells] = ()) -> dict[Key, Standing]:
    """The standing of each row of one section; empty for fewer than two rows or two patients. `known`: as in `scores`.

    Raises:
        BenchError: as `scores`.
    """
    return standings_of(scores(groups, definition, known), direction(definition))


def standings_of(found: Scores, way: int) -> dict[Key, Standing]:
    """As `standings`; `way` as in `pairs_of`."""
    if len(found.groups) < 2 or found.patients < 2:
        return {}
    pairs = pairs_of(found, way)
    order = ranking(found)
    means = np.stack([array.mean(1) for array in found.arrays], axis=1)
    by_patient = statistics.ranks(-means).mean(0)
    return {
        (group.method, group.variant): _standing(found, i, (order, float(by_patient[i])), pairs)
        for i, group in enumerate(found.groups)
    }


def ranking(found: Scores, resamples: int = statistics.RESAMPLES) -> Ranking:
    """Mean-then-rank, and what the hierarchical bootstrap says of it."""
    return statistics.ranking(np.array([array.mean() for array in found.arrays]), resampled(found, resamples))


def resampled(found: Scores, resamples: int = statistics.RESAMPLES) -> Array:
    """Bootstrap means (resamples, rows); metrics and protocols of one split draw the same patients."""
    section = found.groups[0].section
    drawn_for = digest([section.dataset, section.content, section.split, section.split_content, found.patients])
    return statistics.bootstrap(found.arrays, int(drawn_for[:8], 16), resamples)


def _standing(found: Scores, i: int, ranks: tuple[Ranking, float], pairs: Sequence[Pairwise]) -> Standing:
    order, by_patient = ranks
    names = [name(group) for group in found.groups]
    # Rows come best first, so a claim is always for the first of a pair.
    mine = {pair: test for pair, test in zip(combinations(range(len(names)), 2), pairs, strict=True) if i in pair}
    beats = [names[other] for (one, other), test in mine.items() if test.better and one == i]
    beaten = [names[one] for (one, other), test in mine.items() if test.better and other == i]
    tied = [names[sum(pair) - i] for pair, test in mine.items() if not test.better]
    tested = [names[sum(pair) - i] for pair, test in mine.items() if not test.better and test.two_way is not None]
    return Standing(
        rank=order.rank[i],
        low=order.low[i],
        high=order.high[i],
        first=order.first[i],
        rank_then_mean=by_patient,
        tied=tuple(tied),
        beats=tuple(beats),
        verdict=_claims(found, len(pairs)) or _against(beats, tested, beaten) or "single seed, no test",
    )


def _claims(found: Scores, pairs: int) -> str:
    """Why this section can hold no claim at all; empty where it can."""
    needed = statistics.smallest(pairs)
    if found.patients < needed:
        return f"cannot be told apart: {found.patients} patients, {needed} are needed for {_counted(pairs, 'pair')}"
    if sum(array.shape[1] > 1 for array in found.arrays) < 2:
        return "cannot be told apart: fewer than two rows have two seeds, and intervals hold patients alone"
    return ""


def _against(beats: Sequence[str], tied: Sequence[str], beaten: Sequence[str]) -> str:
    parts = [("better than", beats), ("tied with", tied), ("worse than", beaten)]
    return "; ".join(f"{words} {named(names)}" for words, names in parts if names)


def named(names: Sequence[str]) -> str:
    """The names of rows, or how many they are."""
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} rows"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
