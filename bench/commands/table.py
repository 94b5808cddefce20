"""Make tables of records: terminal, Markdown, CSV, JSON, or the blocks of a README."""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.output import print_table, say
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from leaderboards.table import Row

ENDINGS = {".md": "markdown", ".csv": "csv", ".json": "json", ".jsonl": "json"}
DIFFERS = 1
_FILE = click.Path(path_type=Path, dir_okay=False)
_STYLES = click.Choice(["terminal", "markdown", "csv", "json"])


@click.command(help=__doc__)
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--format", "style", type=_STYLES, help="Taken from the ending of --out when not given.")
@click.option("--json", "style", flag_value="json", help="The same as --format json: one row a line.")
@click.option("--per-label", is_flag=True, help="Dice of every label beside the mean (terminal, Markdown).")
@click.option("--out", type=_FILE, help="Write to this file.")
@click.option("--readme", type=_FILE, help="Fill its blocks <!-- table:DATASET --> ... <!-- /table -->.")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if --out or --readme is not up to date.")
def command(
    runs: tuple[Path, ...], style: str | None, per_label: bool, out: Path | None, readme: Path | None, check: bool
) -> int:
    """RUNS are run folders, folders of them, or record files; `runs` when none is given."""
    from leaderboards.collect import load
    from leaderboards.table import rows

    target = readme or out
    if check and target is None:
        raise UsageError("--check compares a file", mend="add --readme FILE or --out FILE")
    records, problems, _ = load(runs or (Path("runs"),))
    made, left_out = rows(records)
    for problem in (*problems, *left_out):
        say(problem)
    if not made:
        raise BenchError("no record to make a table of", mend="bench run ..., or name the folder of the runs")
    if target is None:
        show(made, style or "terminal", per_label)
        return 0
    style = "readme" if readme else style or ENDINGS.get(target.suffix, "terminal")
    return _deliver(target, _text(made, style, per_label, target), check)


def show(made: "Sequence[Row]", style: str, per_label: bool) -> None:
    """Print rows on stdout: tables for people, or the text of another format."""
    if style != "terminal":
        click.echo(_text(made, style, per_label, None), nl=False)
        return
    from leaderboards.render import tables, visible

    for table in tables(made, per_label=per_label):
        print_table(
            table.columns, [[visible(cell) for cell in row] for row in table.rows], title=visible(table.title, 400)
        )
        click.echo(visible(table.note, 2000) + "\n")


def _text(made: "Sequence[Row]", style: str, per_label: bool, target: Path | None) -> str:
    from leaderboards import render

    if style == "readme" and target:
        try:
            return render.fill(target.read_text(encoding="utf-8"), made)
        except FileNotFoundError:
            raise BenchError("there is no such file", where=target) from None
    if style == "markdown":
        return render.markdown(made, per_label=per_label)
    if style == "csv":
        return render.csv_text(made)
    if style == "json":
        return render.json_text(made)
    raise UsageError("which format?", where=target, mend="add --format markdown, csv or json")


def _deliver(target: Path, text: str, check: bool) -> int:
    from converters.files import write_bytes

    if not check:
        write_bytes(target, text.encode())
        say(f"wrote {target}")
        return 0
    found = target.read_text(encoding="utf-8") if target.is_file() else ""
    if found == text:
        return 0
    lines = difflib.unified_diff(
        found.splitlines(), text.splitlines(), str(target), "from the records", lineterm="", n=0
    )
    click.echo("\n".join(lines), err=True)
    say(f"{target} is not what the records give; run the command without --check")
    return DIFFERS
