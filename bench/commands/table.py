"""Make tables of records: terminal, Markdown, LaTeX, HTML, CSV, JSON; or all pages of a leaderboard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from bench.output import page_width, say
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from leaderboards.clinical import Clinical
    from leaderboards.record import Record
    from leaderboards.table import Row

STYLES = ("terminal", "markdown", "latex", "html", "csv", "json", "challenger")
ENDINGS = {".md": "markdown", ".tex": "latex", ".html": "html", ".csv": "csv", ".json": "json", ".jsonl": "json"}
DIFFERS = 1
_FILE = click.Path(path_type=Path, dir_okay=False)


class Wanted(NamedTuple):
    """How rows are to be written."""

    style: str
    per_label: bool = False
    metric: str = "dice"


class Made(NamedTuple):
    """Rows with what they were made of."""

    rows: "Sequence[Row]"
    records: "Sequence[Record]" = ()
    clinical: "Mapping[tuple[str, ...], Clinical]" = {}


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "style", type=click.Choice(STYLES), help="Taken from the ending of --out when not given.")
@click.option("--json", "style", flag_value="json", help="The same as --format json: one row a line.")
@click.option("--per-label", is_flag=True, help="Dice of every label beside the mean (formats for people).")
@click.option("--metric", default="dice", show_default=True, help="Of --format challenger: dice, hd95, nsd@2mm ...")
@click.option("--out", type=_FILE, help="Write to this file.")
@click.option("--readme", type=_FILE, help="Fill its blocks <!-- table:DATASET --> ... <!-- /table -->.")
@click.option("--write", is_flag=True, help="RUNS is a folder with results/: write its pages/ and the README's tables.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if pages, --out or --readme are not up to date.")
def command(
    runs: tuple[Path, ...],
    style: str | None,
    per_label: bool,
    metric: str,
    out: Path | None,
    readme: Path | None,
    write: bool,
    check: bool,
) -> int:
    """RUNS are run folders, folders of them, or record files; `runs` when none is given."""
    target = readme or out
    if write and (check or target):
        raise UsageError("--write goes with no other target", mend="leave out --check, --out and --readme")
    if (write or check) and target is None:
        return _pages(runs, check)
    made = _made(runs or (Path("runs"),))
    style = style or (ENDINGS.get(target.suffix, "terminal") if target else "terminal")
    wanted = Wanted(style, per_label, metric)
    if target is None:
        _print(made, wanted)
        return 0
    return _deliver(target, _filled(target, made) if readme else _text(made, wanted, target), check)


def _made(paths: Sequence[Path]) -> Made:
    from leaderboards import clinical
    from leaderboards.collect import load
    from leaderboards.table import rows

    found = load(paths)
    made, left_out = rows(found.records, found.verified)
    for problem in (*found.problems, *left_out):
        say(problem)
    if not made:
        raise BenchError("no record to make a table of", mend="bench run ..., or name the folder of the runs")
    return Made(made, found.records, clinical.measure(made, found.records))


def show(made: "Sequence[Row]", style: str, per_label: bool) -> None:
    """Print rows on stdout: tables for people, or the text of another format."""
    _print(Made(made), Wanted(style, per_label))


def _print(made: Made, wanted: Wanted) -> None:
    if wanted.style != "terminal":
        click.echo(_text(made, wanted), nl=False)
        return
    from bench.terminal import lay_out
    from leaderboards import clinical, columns

    width = page_width()
    for table in [*columns.tables(made.rows, per_label=wanted.per_label), *clinical.tables(made.rows, made.clinical)]:
        click.echo(lay_out(table, width))


def _text(made: Made, wanted: Wanted, target: Path | None = None) -> str:
    from leaderboards import clinical, columns, export, render

    if wanted.style == "csv":
        return export.csv_text(made.rows, made.clinical)
    if wanted.style == "json":
        return export.json_text(made.rows, made.clinical)
    if wanted.style == "challenger":
        return export.challenger(made.rows, made.records, wanted.metric)
    writers = {"markdown": render.markdown, "latex": render.latex, "html": render.html}
    if wanted.style not in writers:
        raise UsageError("which format?", where=target, mend="add --format markdown, latex, html, csv or json")
    tables = [*columns.tables(made.rows, per_label=wanted.per_label), *clinical.tables(made.rows, made.clinical)]
    return "\n".join(writers[wanted.style](table) for table in tables)


def _filled(target: Path, made: Made) -> str:
    from leaderboards import readme

    try:
        return readme.fill(target.read_text(encoding="utf-8"), made.rows)
    except FileNotFoundError:
        raise BenchError("there is no such file", where=target) from None


def _pages(folders: Sequence[Path], check: bool) -> int:
    """Write every page made of committed records, or say how they differ."""
    from leaderboards import pages

    if len(folders) != 1 or not (folders[0] / "results").is_dir():
        raise UsageError(
            "--write and --check take one folder that holds results/",
            mend="bench table --check leaderboards/, or add --readme FILE or --out FILE",
        )
    made, problems = pages.build(folders[0])
    for problem in problems:
        say(problem)
    if not check:
        for path in pages.write(folders[0], made):
            say(f"{'wrote' if path in made else 'removed'} {path}")
        return 0
    return _told(pages.differences(folders[0], made), f"bench table --write {folders[0]}")


def _deliver(target: Path, text: str, check: bool) -> int:
    from converters.files import write_bytes
    from leaderboards.pages import difference

    if check:
        return _told([told] if (told := difference(target, text)) else [], "the command without --check")
    write_bytes(target, text.encode())
    say(f"wrote {target}")
    return 0


def _told(differences: Sequence[str], mend: str) -> int:
    for text in differences:
        click.echo(text, err=True)
    if differences:
        say(f"not what the records give; run {mend}")
    return DIFFERS if differences else 0
