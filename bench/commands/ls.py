"""List datasets, sources, exports, protocols, methods, tasks, networks, profiles or runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, JSON
from bench.output import print_json, print_table

if TYPE_CHECKING:
    from bench.catalogue import Entry

KINDS = ("datasets", "sources", "exports", "protocols", "methods", "tasks", "networks", "profiles", "runs")


@click.command()
@click.argument("kind", required=False, type=click.Choice(KINDS))
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@DATA
@JSON
def command(kind: str | None, runs: Path, data: Path, as_json: bool) -> None:
    """List what can be named: all kinds, or one."""
    for one in [kind] if kind else KINDS:
        entries = list(_entries(one, data, runs))
        if as_json:
            for entry in entries:
                print_json(entry)
        else:
            nothing = [("none", f"in '{runs if one == 'runs' else data}'")]
            print_table((one, ""), [(entry.name, entry.about) for entry in entries] or nothing)


def _entries(kind: str, data: Path, runs: Path) -> Iterator["Entry"]:
    from bench import catalogue

    if kind == "datasets":
        return catalogue.datasets(data)
    if kind == "runs":
        return catalogue.runs(runs)
    listing = {
        "sources": catalogue.sources,
        "exports": catalogue.exports,
        "protocols": catalogue.protocols,
        "methods": catalogue.methods,
        "tasks": catalogue.tasks,
        "networks": catalogue.networks,
        "profiles": catalogue.profiles,
    }
    return listing[kind]()
