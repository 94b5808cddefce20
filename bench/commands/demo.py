"""The whole job on made-up patients: write, convert, check, run four protocols, print one table."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.learning import Learning
from bench.options import JSON
from bench.output import say
from bench.recipe import PHANTOM

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
    from bench.madeup import made_up
    from leaderboards.table import rows

    for source in SOURCES:
        made_up(source, out / "raw", out / "data", (cases, seed))
    records = [
        _run(f"{PHANTOM}{source}", protocol, out, Learning(settings=settings), seed)
        for source in SOURCES
        for protocol in PROTOCOLS
    ]
    show(rows(records)[0], "json" if as_json else "terminal", per_label=False)


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
