"""Train a method on a view folder and save the model."""

from pathlib import Path

import click

from bench.learning import Learning
from bench.options import JSON, TASK, learning
from bench.output import print_json, say


@click.command()
@click.argument("view", type=click.Path(path_type=Path, file_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the model.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@TASK
@learning
@JSON
def command(view: Path, out: Path, seed: int, task: str | None, as_json: bool, **options: object) -> None:
    """Train a method on VIEW (bench view, or any dataset folder) and save the model.

    An interrupted training continues from its checkpoint in the folder of the model.
    """
    from baselines.device import pick
    from baselines.train import Setting, train
    from bench.phases import Phases
    from converters.dataset import Dataset

    asked = Learning(**options)  # type: ignore[arg-type]
    seen = Dataset.load(view)
    recipe = asked.recipe(seen.name, {"seed": seed, "task": task})
    with Phases() as phases:

        def told(done: int, total: int) -> None:
            phases.tell("train", done, total)

        setting = Setting(seed, pick(asked.device), asked.plugin, asked.packs, told)
        trained = train(seen, recipe.train, out, setting, recipe.task)
    if as_json:
        print_json({"model": str(out), "parameters": trained.parameters, "cost": trained.cost})
    else:
        cost = trained.cost
        say(f"{trained.parameters} parameters, {cost.seconds:.0f} s, {cost.items_per_s} samples/s: {out}")
