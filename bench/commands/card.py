"""Make the data card of a converted dataset anew: README.md, croissant.json, montage.png and card/."""

from pathlib import Path

import click

from bench.options import JSON
from bench.output import print_json, progress


@click.command(help=__doc__)
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@JSON
def command(dataset: Path, as_json: bool) -> int:
    """Every image and reference label is read once; files that stay as they were are not written."""
    from converters.datasheet import remake

    total = len(list((dataset / "cases").glob("*.json")))
    with progress(dataset.name, total) as advance:
        made = remake(dataset, advance)
    if as_json:
        print_json({"dataset": made.name, "folder": str(dataset), "cases": len(made.cases)})
    else:
        click.echo(f"{made.name}: the card of {len(made.cases)} cases: {dataset / 'README.md'}")
    return 0
