"""Write a dataset or a view in the format of another tool."""

from pathlib import Path

import click

from bench.options import JSON
from bench.output import print_json, say
from converters.errors import BenchError


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--to", required=True, metavar="FORMAT", help="nnunet, msd, bids ... (bench ls exports)")
@click.option("--split", default=None, metavar="NAME", help="A split of the dataset: who trains, validates and tests.")
@JSON
def command(dataset: Path, out: Path, to: str, split: str | None, as_json: bool) -> None:
    """Write DATASET, the folder of a dataset or of a view, to the new folder OUT.

    Every voxel is checked against its digest on the way. What a format has no room for is said, and stands in
    docs/export.md.
    """
    from converters.dataset import Dataset
    from converters.export import export, find

    find(to)
    if not (dataset / "dataset.json").is_file():
        raise BenchError("no dataset.json here", where=dataset, mend="give the folder that `bench convert` wrote")
    there = Dataset.load(dataset)
    notices = export(to, there, out, split)
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    for notice in notices:
        say(notice)
    if as_json:
        facts = {"dataset": there.name, "format": to, "split": split, "folder": str(out), "notices": notices}
        print_json(facts | {"cases": len(there.cases), "files": len(files), "bytes": size})
    else:
        say(f"{there.name} as {to}: {len(there.cases)} cases, {len(files)} files, {size / 1e6:.1f} MB: {out}")
