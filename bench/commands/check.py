"""List every problem of a dataset folder or a view."""

from pathlib import Path

import click

from bench.options import JSON
from bench.output import print_json, say
from converters.errors import BenchError


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@JSON
def command(folder: Path, as_json: bool) -> int:
    """Silent and 0 when there is no problem, else 3."""
    from converters.check import check

    if not (folder / "dataset.json").is_file():
        raise BenchError("no dataset.json here", where=folder, mend="give the folder that `bench convert` wrote")
    problems = check(folder)
    for problem in problems:
        print_json({"folder": str(folder), "problem": problem}) if as_json else click.echo(problem)
    if problems:
        say(f"{folder}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
    return BenchError.exit_code if problems else 0
