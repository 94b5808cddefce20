"""What became of one number of one row between two sets of records, and how a person reads it."""

from collections.abc import Iterable
from typing import Literal

import msgspec

from converters.files import Strict
from leaderboards.escape import markdown
from leaderboards.summary import short
from leaderboards.table import Group

Verdict = Literal[
    "identical", "within", "improved", "told", "regressed", "slower", "missing", "extra", "not compared", "not gated"
]
FAILS = frozenset({"regressed", "missing", "not compared"})
COLUMNS = ("row", "metric", "label", "base", "new", "drop", "may drop", "p", "gate", "verdict", "why")
_LONGEST = 200


class Who(Strict):
    """The row a number belongs to."""

    dataset: str
    split: str
    protocol: str
    method: str
    variant: str

    def words(self) -> str:
        """The row in words."""
        method = f"{self.method} ({self.variant})" if self.variant else self.method
        return f"{self.dataset} {self.protocol} {method}"


class Change(Who):
    """One number of one row, before and after. A drop is positive where the new one is worse."""

    verdict: Verdict
    gate: Literal["paired", "retrained", "speed", ""] = ""  # which one judged; "" where none did
    metric: str = ""  # definition id
    label: str = ""  # "" is the mean over labels
    base: float | None = None
    new: float | None = None
    drop: float | None = None
    limit: float | None = None  # the largest drop that passes unasked
    p: float | None = None  # of the paired test, Holm-adjusted over labels
    why: str = ""


def who(group: Group) -> dict[str, str]:
    """The fields of `Who`."""
    of = group.section
    return {
        "dataset": of.dataset,
        "split": of.split,
        "protocol": of.protocol,
        "method": group.method,
        "variant": group.variant,
    }


def change(group: Group, **found: object) -> Change:
    """A change of a row."""
    return msgspec.convert(who(group) | found, Change)


def failed(changes: Iterable[Change]) -> list[Change]:
    """Those that no gate lets pass."""
    return [one for one in changes if one.verdict in FAILS]


def cells(one: Change) -> tuple[str, ...]:
    """A line of the table, under COLUMNS. Not yet escaped for any format."""
    numbers = (one.base, one.new, one.drop, one.limit)
    digits = 1 if one.gate == "speed" or short(one.metric).startswith("hd") else 4
    p = "" if one.p is None else f"{one.p:.2g}"
    return (
        one.words(),
        short(one.metric),
        one.label or ("mean" if one.metric and one.gate != "speed" else ""),
        *("" if number is None else f"{number + 0.0:.{digits}f}" for number in numbers),
        p,
        one.gate,
        one.verdict,
        one.why,
    )


def told(changes: Iterable[Change], *, per_label: bool) -> list[Change]:
    """What a table shows: every mean over labels, and a label where it moved or where all are asked for."""
    return [one for one in changes if per_label or not one.label or one.verdict in {"regressed", "improved"}]


def page(changes: Iterable[Change], problems: Iterable[str], verdict: str) -> str:
    """Markdown for a comment or a job's summary: the verdict, the table, what was left out."""
    rows = [cells(one) for one in changes]
    lines = [f"**{markdown(verdict, _LONGEST)}**", "", *grid(COLUMNS, rows)]
    lines += ["", *(f"- {markdown(problem, _LONGEST)}" for problem in problems)]
    return "\n".join(lines).rstrip() + "\n"


def grid(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table, every cell escaped."""
    head = list(columns)
    lines = [head, ["---"] * len(head)]
    body = ["| " + " | ".join(line) + " |" for line in lines]
    return body + ["| " + " | ".join(markdown(cell, _LONGEST) for cell in row) + " |" for row in rows]
