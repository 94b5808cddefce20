"""Convert a raw dataset, as downloaded, to the uniform format."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DRY_RUN, JOBS, JSON
from bench.output import print_json, progress, say
from converters.errors import BenchError

if TYPE_CHECKING:
    from converters.convert import Report


@click.command()
@click.argument("source")
@click.argument("raw", type=click.Path(path_type=Path, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@JOBS
@click.option("--skip", multiple=True, metavar="CASE", help="Leave out this case or subject; may be given again.")
@DRY_RUN
@JSON
def command(source: str, raw: Path, out: Path, jobs: int, skip: tuple[str, ...], dry_run: bool, as_json: bool) -> int:
    """Convert what SOURCE (chaos, acdc: bench ls sources) finds in RAW to OUT/<dataset>.

    A second conversion of the same input changes nothing. A case that cannot be converted is named, the others are
    converted, and the exit code is 3.
    """
    from bench.splits import freeze_default
    from converters.convert import convert
    from converters.dataset import Dataset

    if dry_run:
        return _would(source, raw, out, as_json)
    failed = 0
    for report in convert(source, raw, out, jobs=jobs, skip=skip, progress=progress):
        if report.cases:
            freeze_default(Dataset.load(report.root))
        _tell(report, as_json)
        failed += len(report.failures)
    return BenchError.exit_code if failed else 0


def _tell(report: "Report", as_json: bool) -> None:
    for error in report.failures:
        say(str(error))
    if report.junk:
        more = f" and {len(report.junk) - 3} more" if len(report.junk) > 3 else ""
        say(f"{report.name}: left aside {', '.join(report.junk[:3])}{more}")
    if as_json:
        facts = {"dataset": report.name, "folder": str(report.root), "cases": report.cases}
        errors = [{"what": e.what, "where": e.where, "mend": e.mend} for e in report.failures]
        print_json(facts | {"unchanged": report.unchanged, "junk": report.junk, "failures": errors})
    else:
        counts = f"{report.cases} cases, {report.unchanged} of them as they were, {len(report.failures)} failed"
        click.echo(f"{report.name}: {counts}: {report.root}")


def _would(source: str, raw: Path, out: Path, as_json: bool) -> int:
    from converters.source import find

    module = find(source)
    counts = {info.name: sum(1 for _ in module.cases(raw, info.name)) for info in module.INFO}
    for name, cases in counts.items():
        if as_json:
            print_json({"dataset": name, "out": str(out), "cases": cases})
        elif cases:
            say(f"would convert {cases} cases of {name} into a folder of {out}")
    if not any(counts.values()):
        raise BenchError(f"no {source} data here", where=raw, mend="give the folder that holds its native layout")
    return 0
