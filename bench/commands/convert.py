"""Convert a raw dataset, as downloaded, to the uniform format."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.options import DRY_RUN, JOBS, JSON
from bench.output import print_json, progress, say

if TYPE_CHECKING:
    from converters.convert import Report
    from converters.source import Info, RawCase

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("source")
@click.argument("raw", type=click.Path(path_type=Path, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@JOBS
@click.option("--name", metavar="NAME", help="Call the dataset NAME; for a source that finds one alone.")
@click.option("--labels", type=FOLDER, help="Folder of your own label maps (ixi).")
@click.option("--config", type=FILE, help="TOML that describes the folder (folder).")
@click.option("--series", metavar="HASH", help="Which DICOM series of several in one folder; the error lists them.")
@click.option("--allow-gaps", is_flag=True, help="Take the longest run of a DICOM series that lacks slices.")
@click.option("--skip", multiple=True, metavar="CASE", help="Leave out this case or subject; may be given again.")
@DRY_RUN
@JSON
def command(  # the options of the command line
    source: str,
    raw: Path,
    out: Path,
    jobs: int,
    name: str | None,
    skip: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **told: Any,
) -> int:
    """Convert what SOURCE (chaos, acdc: bench ls sources) finds in RAW to OUT/<dataset>.

    A second conversion of the same input changes nothing. A case that cannot be converted is named, the others are
    converted, and the exit code is 3.
    """
    from bench.splits import freeze_default
    from converters.convert import convert, sought
    from converters.dataset import Dataset
    from converters.source import Options

    options = Options(**told)
    if dry_run:
        return _would(sought(source, raw, options, name), out, as_json)
    codes = {0}
    for report in convert(source, raw, out, options=options, name=name, jobs=jobs, skip=skip, progress=progress):
        if report.cases:
            freeze_default(Dataset.load(report.root))
        _tell(report, as_json)
        codes |= {error.exit_code for error in report.failures}
    return max(codes)  # a fault of the machine, such as a full disk, over one of the data


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


def _would(there: "list[tuple[Info, list[RawCase]]]", out: Path, as_json: bool) -> int:
    for info, cases in there:
        if as_json:
            print_json({"dataset": info.name, "out": str(out), "cases": len(cases)})
        else:
            say(f"would convert {len(cases)} cases of {info.name} into a folder of {out}")
    return 0
