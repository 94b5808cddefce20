"""Compare two sets of records: what moved, and whether a gate lets it pass."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from bench.output import print_json, print_table, say
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from leaderboards.change import Change
    from leaderboards.collect import Collected
    from leaderboards.record import Record

REGRESSED = 1
_THERE = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.argument("base", type=_THERE)
@click.argument("new", type=_THERE, required=False)
@click.option(
    "--fail-on",
    "fail_on",
    multiple=True,
    type=click.Choice(["regression", "speed"]),
    help="Exit 1 on a regression (or a row that is missing or cannot be compared); on slower training.",
)
@click.option(
    "--gate",
    type=click.Choice(["auto", "paired", "retrained"]),
    default="auto",
    show_default=True,
    help="paired: the same patients; retrained: means of seeds; auto: paired where the weights are the same.",
)
@click.option("--delta", type=click.FloatRange(min=0), default=0.002, show_default=True, help="Drop of no interest.")
@click.option(
    "--worst", type=click.FloatRange(min=0), default=0.1, show_default=True, help="Drop of one patient that is none."
)
@click.option(
    "--min-seeds", type=click.IntRange(min=2), default=5, show_default=True, help="References a retrained row needs."
)
@click.option("--only", multiple=True, metavar="KEY=A,B", help="Records with this field or recipe key, on both sides.")
@click.option("--per-label", is_flag=True, help="Every label, not only those that moved.")
@click.option("--tolerances", is_flag=True, help="What the records of BASE let a gate see; NEW is not needed.")
@click.option("--format", "style", type=click.Choice(["terminal", "markdown", "json"]), default="terminal")
@click.option("--json", "style", flag_value="json", help="The same as --format json: one change a line.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the Markdown here, too.")
@click.pass_context
def command(context: click.Context, /, **_: object) -> int:
    """Exit 1 with --fail-on when it failed, 3 when a row could not be gated."""
    asked = Asked(**context.params)
    return asked.show_tolerances() if asked.tolerances else asked.compare()


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was typed."""

    base: Path
    new: Path | None
    fail_on: tuple[str, ...]
    gate: Literal["auto", "paired", "retrained"]
    delta: float
    worst: float
    min_seeds: int
    only: tuple[str, ...]
    per_label: bool
    tolerances: bool
    style: str
    out: Path | None

    def compare(self) -> int:
        """Print what moved and judge it."""
        from leaderboards.change import COLUMNS, cells, page, told
        from leaderboards.compare import compare
        from leaderboards.escape import visible
        from leaderboards.gate import Limits

        if self.new is None:
            raise UsageError("what is BASE to be compared with?", mend="bench compare BASE NEW")
        base, new = self._records(self.base, "BASE"), self._records(self.new, "NEW")
        if not base.records:
            raise BenchError("BASE has no such record: nothing would be compared", where=self.base)
        self._known(base.records)
        limits = Limits(delta=self.delta, worst=self.worst, seeds=self.min_seeds, gate=self.gate)
        changes, left_out = compare(base.records, new.records, limits, new.verified | base.verified)
        problems = [*base.problems, *new.problems, *left_out]
        code, verdict = self._verdict(changes, len(problems))
        shown = told(changes, per_label=self.per_label)
        markdown = page(shown, problems, verdict)
        self._deliver(markdown)
        if self.style == "json":
            for one in changes:
                print_json(one)
        elif self.style == "markdown":
            click.echo(markdown, nl=False)
        else:
            _terminal(COLUMNS, [cells(one) for one in shown])
        for line in (*problems, verdict):
            say(visible(line, 400))
        return code

    def show_tolerances(self) -> int:
        """Print what the records let the gate of retrained methods see."""
        from leaderboards.tolerances import COLUMNS, cells, page, tolerances

        base = self._records(self.base, "BASE")
        found, left_out = tolerances(base.records, base.verified)
        for problem in (*base.problems, *left_out):
            say(problem)
        if not found:
            raise BenchError("BASE has no such record", where=self.base)
        self._deliver(page(found))
        if self.style == "json":
            for one in found:
                print_json(one)
        elif self.style == "markdown":
            click.echo(page(found), nl=False)
        else:
            _terminal(COLUMNS, [cells(one) for one in found])
        return 0

    def _records(self, path: Path, side: str) -> "Collected":
        from leaderboards.collect import load
        from leaderboards.compare import chosen

        loaded = load([path])
        problems = [f"{side}: {problem}" for problem in loaded.problems]
        return loaded._replace(records=chosen(loaded.records, self._wanted()), problems=problems)

    def _known(self, base: "Sequence[Record]") -> None:
        """Refuse a value of --only that no record of BASE has: a row of it would pass unseen."""
        from leaderboards.compare import chosen

        for key, values in self._wanted():
            for value in sorted(values):
                if not chosen(base, [(key, frozenset({value}))]):
                    raise UsageError(f"--only {key}={value}: no record of BASE has it", mend="bench table BASE")

    def _wanted(self) -> list[tuple[str, frozenset[str]]]:
        pairs = [text.partition("=") for text in self.only]
        if wrong := [key for key, equals, _ in pairs if not equals]:
            raise UsageError(f"--only {wrong[0]}", mend="--only KEY=VALUE, for example --only protocol=full,semi10")
        return [(key, frozenset(values.split(","))) for key, _, values in pairs]

    def _verdict(self, changes: "Sequence[Change]", left_out: int) -> tuple[int, str]:
        from leaderboards.change import failed

        wrong, slower = failed(changes), [one for one in changes if one.verdict == "slower"]
        ungated = [one for one in changes if one.verdict == "not gated"]
        counts = f"{len(changes)} numbers: {len(wrong)} failed, {len(ungated)} not gated, {len(slower)} slower"
        counts += f"; {left_out} left out or told of" if left_out else ""
        if (wrong and "regression" in self.fail_on) or (slower and "speed" in self.fail_on):
            return REGRESSED, f"failed; {counts}"
        if ungated and "regression" in self.fail_on:
            return BenchError.exit_code, f"cannot be judged; {counts}"
        return 0, f"passed; {counts}" if self.fail_on else counts

    def _deliver(self, text: str) -> None:
        from converters.files import write_bytes

        if self.out is not None:
            write_bytes(self.out, text.encode())


def _terminal(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from leaderboards.escape import visible

    print_table(columns, [[visible(cell, 400) for cell in row] for row in rows])
