"""What a gate can see: how far the seeds of each row lie apart, and the smallest drop that stands out from them."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from leaderboards.change import Who, grid, who
from leaderboards.gate import SEEDS, tolerance
from leaderboards.record import Record
from leaderboards.summary import ranked, run_means, short
from leaderboards.table import UNVERIFIED, Group, groups

COLUMNS = ("row", "metric", "seeds", "mean", "SD over seeds", "1 new seed may lose", "3 new seeds may lose")
_INTRODUCTION = f"""# What the gate of retrained methods can see

A mean of new seeds that lies further below the mean of the references than this fails `bench compare --fail-on
regression`; a real drop of just this size is found half of the time. Rows with fewer than {SEEDS} references are not
gated. [docs/gate.md](../../docs/gate.md) has the formula. Made by `bench table --write leaderboards/`.
"""


class Tolerance(Who):
    """What the records of a row let the gate of retrained methods see."""

    metric: str  # definition id
    seeds: int
    mean: float
    sd: float | None  # over seeds and draws; None for a single one, as are the two below
    one: float | None  # the largest drop that passes with one new seed
    three: float | None


def means(group: Group, definition: str) -> list[float]:
    """The mean over labels of every repeat that has one."""
    return run_means([record.cases for record in group.records], definition)


def tolerances(
    records: Iterable[Record], verified: Mapping[str, int] = UNVERIFIED
) -> tuple[list[Tolerance], list[str]]:
    """What can be seen of each row, metric by metric, in the order of their names; and problems as sentences.

    `verified`: as in `table.rows`. A metric without any value has no line.
    """
    found, problems = groups(records, verified)
    made = [
        _tolerance(group, definition, values)
        for group in found
        for definition in ranked(group.section.definitions.values())
        if (values := means(group, definition))
    ]
    return sorted(made, key=lambda t: (t.words(), t.split, t.metric)), problems


def page(found: Iterable[Tolerance]) -> str:
    """The tolerances as a page in Markdown."""
    return _INTRODUCTION + "\n" + "\n".join(grid(COLUMNS, [cells(one) for one in found])) + "\n"


def cells(one: Tolerance) -> tuple[str, ...]:
    """A line of the table. Not yet escaped for any format."""
    numbers = ("" if number is None else f"{number:.4f}" for number in (one.mean, one.sd, one.one, one.three))
    return (one.words(), short(one.metric), str(one.seeds), *numbers)


def _tolerance(group: Group, definition: str, found: Sequence[float]) -> Tolerance:
    several = len(found) > 1
    return Tolerance(
        **who(group),
        metric=definition,
        seeds=len(found),
        mean=statistics.fmean(found),
        sd=statistics.stdev(found) if several else None,
        one=tolerance(found, 1) if several else None,
        three=tolerance(found, 3) if several else None,
    )
