"""How a number of a row reads: the cells of a table."""

from typing import NamedTuple

from leaderboards.summary import Interval
from leaderboards.table import Row

ONE_SEED = "†"


class Cell(NamedTuple):
    """Text, not yet escaped for any format, and the number a reader may sort by."""

    text: str
    value: float | None = None


def mean(row: Row, *, definition: str, label: str | None = None, digits: int = 3) -> Cell:
    """Mean over patients of the mean over labels, or of one label; over seeds its SD."""
    summary = (row.macro if label is None else row.labels.get(label, {})).get(definition)
    if summary is None:
        return Cell("")
    spread = "" if summary.sd is None else f" ± {summary.sd:.{digits}f}"
    return Cell(f"{summary.mean:.{digits}f}{spread}", summary.mean)


def interval(row: Row, *, definition: str, digits: int = 3) -> Cell:
    """The 95 % interval of the mean."""
    found = row.intervals.get(definition)
    if found is None:
        return Cell("")
    return Cell(f"[{found.low:.{digits}f}, {found.high:.{digits}f}]{_alone(found)}", found.low)


def gain(row: Row, *, definition: str) -> Cell:
    """What it adds to the bound, with the 95 % interval of the paired difference."""
    found = row.gains.get(definition)
    if found is None:
        return Cell("")
    return Cell(f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]{_alone(found)}", found.mean)


def spread(row: Row, *, definition: str) -> Cell:
    """Median and quartiles over patients."""
    summary = row.macro.get(definition)
    if summary is None:
        return Cell("")
    return Cell(f"{summary.median:.1f} ({summary.q1:.1f}–{summary.q3:.1f})", summary.median)


def rank(row: Row, *, definition: str) -> Cell:
    """Rank, and the ranks that the interval allows."""
    found = row.standings.get(definition)
    if found is None:
        return Cell("")
    return Cell(f"{found.rank} [{found.low}–{found.high}]{_alone(row.intervals.get(definition))}", found.rank)


def _alone(interval: Interval | None) -> str:
    return ONE_SEED if interval and not interval.seeds else ""


def repeats(row: Row) -> Cell:
    """Seeds, and draws where there are several."""
    return Cell(f"{row.seeds}" if row.draws == 1 else f"{row.seeds}, {row.draws} draws", row.seeds)


def peak(row: Row) -> Cell:
    """Peak memory in MiB: the device's where there is one."""
    value = row.peak_host_mib if row.peak_device_mib is None else row.peak_device_mib
    return Cell("") if value is None else Cell(f"{value:.0f}", value)


def number(value: float | None) -> Cell:
    """A cost."""
    # Three digits without an exponent: 1234, 12.3, 0.123.
    return Cell("") if value is None else Cell(f"{value:.0f}" if value >= 100 else f"{value:#.3g}", value)
