"""Build the site: static pages of tables, figures and runs that work offline."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, JSON
from bench.output import print_json, progress, say, track
from converters.errors import BenchError

if TYPE_CHECKING:
    from leaderboards.site.logs import Log

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--out", type=_FOLDER, default=Path("site"), show_default=True, help="A site there is replaced.")
@click.option(
    "--overlays",
    type=click.Choice(["none", "phantoms", "all"]),
    default="phantoms",
    show_default=True,
    help="Draw the worst, median and best case of runs that have predictions; 'all' shows real patients too.",
)
@DATA
@JSON
def command(runs: tuple[Path, ...], out: Path, overlays: str, data: Path, as_json: bool) -> None:
    """Build the site: static pages of tables, figures and runs that work offline.

    RUNS are run folders, folders of them, or record files; `runs` when none is given.
    """
    from bench import overlay
    from leaderboards import collect, planned
    from leaderboards.site.build import build
    from leaderboards.site.content import Extras

    paths = runs or (Path("runs"),)
    found = collect.load(paths)
    files = _files(paths, {record.id() for record in found.records})
    problems: list[str] = []
    with progress("overlays", len(files)) as advance:
        pictures = overlay.pictures(files, overlay.Wanted(overlays, data), problems, advance)
    extras = Extras(_logs(files, problems), pictures, planned.of(paths))
    found = found._replace(problems=[_without(paths, problem) for problem in (*found.problems, *problems)])
    for problem in found.problems:
        say(problem)
    pages = build(found, out, extras, partial(track, label="pages"))
    if as_json:
        print_json({"out": str(out), "pages": pages, "pictures": sum(map(len, pictures.values()))})
    else:
        say(f"{pages} pages: {out / 'index.html'}")


def _files(paths: tuple[Path, ...], wanted: set[str]) -> dict[str, Path]:
    """Record id -> its file."""
    from leaderboards import collect
    from leaderboards.record import Record

    found: dict[str, Path] = {}
    for file in collect.files(paths):
        try:
            run = Record.load(file).id()
        except (BenchError, OSError):
            continue  # told of already
        if run in wanted:
            found.setdefault(run, file)
    return found


def _logs(files: Mapping[str, Path], problems: list[str]) -> "dict[str, Log]":
    from leaderboards.site import logs

    found: dict[str, Log] = {}
    for run, file in files.items():
        log = logs.beside(file)
        try:
            found |= {run: logs.read(log)} if log.is_file() else {}
        except BenchError as error:
            problems.append(f"{log}: {error.what}; no learning curve")
    return found


def _without(paths: tuple[Path, ...], problem: str) -> str:
    """The sentence without where on this machine the runs lie: pages are published."""
    for path in paths:
        problem = problem.replace(str(path) if path.is_file() else f"{path}/", path.name if path.is_file() else "")
    return problem
