"""Score the stored predictions of done runs again, under today's definitions."""

from pathlib import Path

import click

from bench.options import DATA, DRY_RUN, JSON
from bench.output import print_json, say, track
from converters.errors import BenchError, UsageError

SOMETHING_FAILED = 1
_THERE = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, required=True, type=_THERE, metavar="RUN...")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the new records."
)
@click.option("--predictions", type=_THERE, help="The label maps that `bench score --method` has scored, for one run.")
@DATA
@DRY_RUN
@JSON
def command(
    runs: tuple[Path, ...], out: Path, predictions: Path | None, data: Path, dry_run: bool, as_json: bool
) -> int:
    """RUN is a run folder or a record file. Predictions that are not those of the record are refused.

    All but the scores and the version of the metrics is kept; what is written has the names of leaderboards/results.
    """
    from bench.rescore import rescore
    from bench.submission import Source, keep

    if predictions is not None and len(runs) > 1:
        raise UsageError("--predictions belong to one run", mend="score each such run again by itself")
    failed = 0
    for run in track(runs, len(runs), "score"):
        try:
            source = Source.at(run, predictions)
            record = rescore(source, data)
        except (BenchError, OSError) as error:
            failed += 1
            say(f"{run}: {error}")
            continue
        path = None if dry_run else keep(source, record, out)
        print_json({"run": str(run), "record": path and str(path), "cases": len(record.cases)}) if as_json else say(
            f"{run}: {len(record.cases)} scores" + (f", {path}" if path else "")
        )
    return SOMETHING_FAILED if failed else 0
