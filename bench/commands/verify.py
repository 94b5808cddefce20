"""Check records against the rules, their predictions and their weights."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, DEVICE, DRY_RUN, JSON, PLUGIN
from bench.output import print_json, print_table, say
from converters.errors import UsageError

if TYPE_CHECKING:
    from bench.claims import Claimed
    from bench.verify import Result
    from leaderboards.record import Record

BROKEN = 1
_THERE = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.argument("paths", nargs=-1, required=True, type=_THERE, metavar="PATH...")
@click.option(
    "--level",
    type=click.IntRange(0, 2),
    default=1,
    show_default=True,
    help="0: the rules; 1: score the predictions again; 2: predict again from the weights, too.",
)
@click.option("--predictions", type=_THERE, help="Where the label maps of one record lie, if not beside it.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Keep records and findings here.")
@DATA
@DEVICE
@PLUGIN
@DRY_RUN
@JSON
@click.pass_context
def command(context: click.Context, /, **_: object) -> int:
    """PATH is a run folder, a record file, a folder of records, or a submission, packed or not.

    Exit code 1 where a rule is broken. From level 1 on, what was found is written beside the record, and the tables
    say how far it was verified.
    """
    from bench import verify
    from bench.claims import claims

    asked = Asked(**context.params)
    if asked.predictions is not None and len(asked.paths) > 1:
        raise UsageError("--predictions belong to one record", mend="verify each such record by itself")
    means = verify.Means(asked.data, asked.device_to_use(), asked.plugin)
    broken = 0
    for path in asked.paths:
        with tempfile.TemporaryDirectory() as scratch:
            found = claims(path, Path(scratch) / "unpacked", asked.predictions)
            for claimed in found:
                results = verify.verify(claimed, asked.level, means)
                holds = all(result.holds for result in results)
                broken += not holds
                if holds and len(found) > 1 and not asked.as_json:
                    click.echo(f"{claimed.name}: all {len(results)} rules hold")
                else:
                    show(claimed.name, results, asked.as_json)
                asked.keep(claimed, results, packed=path.is_file() and path.suffix == ".zip")
    return BROKEN if broken else 0


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was typed."""

    paths: tuple[Path, ...]
    level: int
    predictions: Path | None
    out: Path | None
    data: Path
    device: str
    plugin: Path | None
    dry_run: bool
    as_json: bool

    def device_to_use(self) -> str:
        """The device where something is predicted, looked for only then."""
        if self.level < 2:
            return "cpu"
        from baselines.device import pick

        return pick(self.device)

    def keep(self, claimed: "Claimed", results: "Sequence[Result]", *, packed: bool) -> None:
        """Write down what was found: beside the record, or with it in --out."""
        from bench.submission import Source, keep
        from bench.verify import verification
        from converters.files import write_json
        from leaderboards.verification import beside

        if self.dry_run or self.level == 0:
            return
        found = verification(claimed.record, results)
        file = claimed.file
        if self.out is not None:
            file = keep(Source.at(file, None), claimed.record, self.out, by_id=claimed.sent)
        elif packed:
            say(f"level {found.level}; --out FOLDER keeps the record and what was found")
            return
        if not found.findings and _known(file, claimed.record) > found.level:
            say(f"level {found.level} again: {beside(file)} stays")
            return
        write_json(beside(file), found)
        say(f"level {found.level}: {beside(file)}")


def _known(file: Path, record: "Record") -> int:
    """The level that was reached before; 0 where what stands there is not about this record."""
    from converters.errors import BenchError
    from leaderboards.verification import level

    try:
        return level(file, record)
    except BenchError:
        return 0


def show(name: str, results: "Sequence[Result]", as_json: bool) -> None:
    """A line for each rule, and under it what was found."""
    from bench.verify import some_of

    if as_json:
        for result in results:
            print_json(
                {"record": name, "holds": result.holds, **{f: getattr(result, f) for f in result.__struct_fields__}}
            )
        return
    rows = [
        [str(r.level), r.rule, "ok" if r.holds else "broken" if r.checked else "not checked", line]
        for r in results
        for line in (some_of(r.found) or (r.sentence,))
    ]
    print_table(["level", "rule", "", name], rows)
