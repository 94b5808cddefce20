"""The whole job on made-up patients: write, convert, check, run four protocols, print one table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.learning import Learning
from bench.options import JSON
from bench.output import say
from bench.recipe import PHANTOM
from converters.errors import BenchError

if TYPE_CHECKING:
    from leaderboards.record import Record

SOURCES = ("acdc", "chaos")
PROTOCOLS = ("full", "semi10", "scribble", "noisy")


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("demo"), show_default=True)
@click.option("--cases", type=click.IntRange(min=5), default=20, show_default=True, help="Patients of each source.")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Seed of patients and training.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any recipe key: train.steps=500")
@JSON
def command(out: Path, cases: int, seed: int, settings: tuple[str, ...], as_json: bool) -> None:
    """Write phantom ACDC and CHAOS trees, convert and check them, run full, semi10, scribble and noisy, rank.

    Nothing here says anything about real patients. A second demo in the same folder repeats nothing that is done.
    """
    from bench.commands.table import show
    from leaderboards.table import rows

    for source in SOURCES:
        _data(source, out, cases, seed)
    records = [
        _run(f"{PHANTOM}{source}", protocol, out, Learning(settings=settings), seed)
        for source in SOURCES
        for protocol in PROTOCOLS
    ]
    show(rows(records)[0], "json" if as_json else "terminal", per_label=False)


def _data(source: str, out: Path, cases: int, seed: int) -> None:
    """Made-up patients in their native layout, then converted and checked like real ones."""
    import importlib

    from bench.splits import freeze_default
    from converters.check import check
    from converters.convert import convert
    from converters.dataset import Dataset
    from converters.datasheet import refresh

    raw = out / "raw" / f"{source}-{cases}-{seed}"
    if not raw.is_dir():
        # Written beside its place first: an interrupted demo leaves no half a tree behind.
        draft = raw.with_name(f"{raw.name}.part")
        importlib.import_module(f"converters.phantoms.{source}").write(draft, cases, seed)
        draft.rename(raw)
    for report in convert(source, raw, out / "data"):
        if report.failures:
            raise report.failures[0]
        freeze_default(Dataset.load(report.root))
        refresh(report.root)
        if problems := check(report.root):
            raise BenchError("; ".join(problems), where=report.root)
        say(f"{report.name}: {report.cases} cases converted, checked")


def _run(dataset: str, protocol: str, out: Path, learning: Learning, seed: int) -> "Record":
    from baselines.device import pick
    from bench.locate import locate
    from bench.phases import Phases
    from bench.plan import plan
    from bench.run import Place, run

    recipe = learning.recipe(dataset, {"protocol": protocol, "seed": seed})
    planned = plan(recipe, locate(dataset, out / "data"), out / "runs")
    say(f"{planned.dataset.name} {protocol}: {recipe.train.steps} steps")
    with Phases() as phases:
        return run(planned, Place(pick(learning.device), None, out / "cache", phases.tell))
