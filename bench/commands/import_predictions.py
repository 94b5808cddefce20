"""Bring label maps that another tool predicted back to the names and grids of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import JSON
from bench.output import print_json, say
from converters.errors import BenchError

if TYPE_CHECKING:
    from bench.peers import Brought

SOMETHING_FAILED = 1


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("predictions", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--from", "maker", required=True, metavar="TOOL", help="nnunet, pymic, ssl4mis, monai or msd.")
@click.option("--split", help="Whose test cases are asked for.  [default: default]")
@click.option("--all", "everybody", is_flag=True, help="Ask for every case of the dataset.")
@JSON
def command(  # the options of the command line
    dataset: Path, predictions: Path, out: Path, maker: str, split: str | None, everybody: bool, as_json: bool
) -> int:
    """Write the label maps in PREDICTIONS to the new folder OUT, which `bench score` and `bench submit` take.

    DATASET is the folder that was exported. Nothing is resampled: a label map of another shape, or that lies elsewhere,
    is refused. The exit code is 1 where one is missing or refused, 3 where nothing could be written.
    """
    from bench import splits
    from bench.peers import bring, peer
    from converters.dataset import Dataset
    from converters.errors import UsageError
    from converters.export import whole

    tool = peer(maker)
    if everybody and split is not None:
        raise UsageError("--all and --split: whose predictions?", mend="give one of both")
    there = Dataset.load(dataset)
    asked = there if everybody else there.only(splits.resolve(there, split or splits.DEFAULT).test)
    with whole(out) as draft:
        done, told = bring(there, asked.cases, predictions, draft, tool)
        if all(one.outcome != "written" for one in done):
            raise BenchError(
                "; ".join(_line(one) for one in done[:5]), where=predictions, mend="see docs/export.md, on the way back"
            )
    for sentence in told:
        say(sentence)
    for one in done:
        _tell(one, as_json)
    counts = {kind: sum(one.outcome == kind for one in done) for kind in ("written", "missing", "refused")}
    say(f"{', '.join(f'{n} {kind}' for kind, n in counts.items())}: {out}")
    return SOMETHING_FAILED if counts["missing"] or counts["refused"] else 0


def _tell(one: "Brought", as_json: bool) -> None:
    if as_json:
        file = None if one.file is None else one.file.name
        print_json({"case": one.case, "outcome": one.outcome, "file": file, "why": one.why})
    elif one.outcome != "written":
        say(_line(one))
    else:
        click.echo(_line(one))


def _line(one: "Brought") -> str:
    parts = (one.case, one.outcome, "" if one.file is None else one.file.name, one.why)
    return ": ".join(part for part in parts if part)
