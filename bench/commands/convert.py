"""Convert a raw dataset, as downloaded, to the uniform format."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.options import DRY_RUN, JOBS, JSON
from bench.output import print_json, progress, say

if TYPE_CHECKING:
    from converters.convert import Report
    from converters.plan import Plan
    from converters.preparation import Preparation

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
@click.option("--only", multiple=True, metavar="NAME", help="Of several datasets found, this one; may be given again.")
@click.option("--skip", multiple=True, metavar="CASE", help="Leave out this case or subject; may be given again.")
@click.option("--median", type=click.IntRange(min=0), default=0, metavar="N", help="Preparation 0: over N x N (x N).")
@click.option("--n4", is_flag=True, help="Preparation 1: N4 bias-field correction; MR alone.")
@click.option(
    "--join", metavar="A,B,...", help="Preparation 2: these as channels of one, by subject, on the grid of A."
)
@click.option("--register", type=click.Choice(["header", "rigid"]), default="header", help="How --join lays them.")
@click.option("--channels", metavar="A,B,...", help="Preparation 3: these channels alone, in this order.")
@click.option("--atlas", type=FILE, help="Preparation 4: affine registration into the space of this NIfTI image.")
@click.option("--spacing", metavar="X,Y,Z", help="Preparation 5: resample to these mm along right, anterior, superior.")
@click.option("--interpolation", type=click.Choice(["bspline", "linear"]), default="bspline", help="Of images.")
@DRY_RUN
@JSON
def command(  # the options of the command line
    source: str,
    raw: Path,
    out: Path,
    jobs: int,
    name: str | None,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
    **told: Any,
) -> int:
    """Convert what SOURCE (chaos, acdc: bench ls sources) finds in RAW to OUT/<dataset>.

    A second conversion of the same input changes nothing. A case that cannot be converted is named, the others are
    converted, and the exit code is 3. Preparation (docs/preparation.md) is off unless asked for, and gives a dataset
    of another name.
    """
    from bench.splits import freeze_default
    from converters.convert import convert
    from converters.dataset import Dataset
    from converters.datasheet import refresh
    from converters.plan import Wanted, plan
    from converters.source import Options

    preparation = _preparation(**{key: told.pop(key) for key in _PREPARATION})
    wanted = Wanted(Options(**told), preparation, only, name, skip)
    if dry_run:
        return _would(plan(source, raw, out, wanted), as_json)
    codes = {0}
    for report in convert(source, raw, out, **vars(wanted), jobs=jobs, progress=progress):
        if report.cases:
            dataset = Dataset.load(report.root)
            freeze_default(dataset)
            refresh(report.root)
            for warning in dataset.file.bench.warnings:
                say(f"{report.name}: {warning}")
        _tell(report, as_json)
        codes |= {error.exit_code for error in report.failures}
    return max(codes)  # a fault of the machine, such as a full disk, over one of the data


_PREPARATION = ("median", "n4", "join", "register", "channels", "atlas", "spacing", "interpolation")


def _preparation(join: str | None, channels: str | None, spacing: str | None, **told: Any) -> "Preparation":
    from converters.preparation import Preparation, spacing_of

    where = None if spacing is None else spacing_of(spacing)
    return Preparation(join=_names(join), channels=_names(channels), spacing=where, **told)


def _names(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(part.strip() for part in text.split(","))


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


def _would(plans: "list[Plan]", as_json: bool) -> int:
    for one in plans:
        cases, name = len(one.todo), one.info.name
        if as_json:
            print_json({"dataset": name, "folder": str(one.root), "cases": cases, "bytes": one.need})
        else:
            say(f"would convert {cases} cases of {name}, {one.need / 1e6:.0f} MB or more to write: {one.root}")
    return 0
