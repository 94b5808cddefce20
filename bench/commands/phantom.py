"""Write made-up patients in the native layout of a source."""

from pathlib import Path

import click

from bench.options import DRY_RUN, JSON
from bench.output import print_json, say


@click.command()
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--cases", type=click.IntRange(min=1), default=12, show_default=True, help="How many patients.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Other seed, other patients.")
@click.option(
    "--quirk",
    "quirks",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="As some copies of the set are; may be given again.",
)
@DRY_RUN
@JSON
def command(name: str, out: Path, cases: int, seed: int, quirks: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Write made-up patients into OUT, in the native layout of the source NAME.

    `bench convert` then treats them as it treats the real thing; the datasets are named phantom-...
    """
    import importlib

    from bench.catalogue import phantoms
    from bench.quirks import asked
    from converters.errors import BenchError, unknown_name

    if name not in phantoms():
        raise unknown_name("phantom", name, phantoms())
    module = importlib.import_module(f"converters.phantoms.{name}")
    with_them = asked(module, quirks)
    if out.is_dir() and any(out.iterdir()):
        raise BenchError("the folder is not empty", where=out, mend="give a new one; nothing is written over")
    if not dry_run:
        module.write(out, cases, seed, **with_them)
    if as_json:
        print_json({"phantom": name, "folder": str(out), "cases": cases, "seed": seed, "written": not dry_run})
    else:
        say(f"{'would write' if dry_run else 'wrote'} {cases} made-up {name} patients, seed {seed}: {out}")
