"""Predict label maps for the cases of a dataset with a trained model."""

from pathlib import Path

import click

from bench.options import DATA, DEVICE, JSON, PLUGIN
from bench.output import print_json, say


@click.command()
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dataset", required=True, help="A converted dataset.")
@click.option("--split", default=None, help="Predict the test subjects of this split. [every case]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the label maps."
)
@DEVICE
@PLUGIN
@DATA
@JSON
def command(model: Path, dataset: str, split: str | None, out: Path, **options: object) -> None:
    """Write a label map on its own grid for every case, with the model that `bench train` or `bench run` left.

    MODEL is the folder with model.safetensors and model.json.
    """
    from baselines.device import pick
    from baselines.predict import Setting, predict
    from bench import splits
    from bench.locate import locate
    from bench.phases import Phases

    found = locate(dataset, Path(str(options["data"])))
    chosen = found if split is None else found.only(splits.resolve(found, split).test)
    plugin = Path(str(options["plugin"])) if options["plugin"] else None
    with Phases() as phases:

        def told(done: int, total: int) -> None:
            phases.tell("predict", done, total)

        cost = predict(model, found, chosen.cases, out, Setting(pick(str(options["device"])), plugin, told))
    if options["as_json"]:
        print_json({"predictions": str(out), "cost": cost})
    else:
        say(f"{cost.items} label maps, {cost.seconds:.1f} s: {out}")
