"""Predict label maps for the cases of a dataset with a trained model."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, DEVICE, JSON, PLUGIN
from bench.output import print_json, say

if TYPE_CHECKING:
    from baselines.agreement import Agreement


@click.command()
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.option("--dataset", required=True, help="A converted dataset.")
@click.option("--split", default=None, help="Predict the test subjects of this split. [every case]")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the label maps."
)
@click.option("--mirror", is_flag=True, help="Mean over mirror images along both axes of a slice: four times the work.")
@click.option(
    "--overlap", type=click.FloatRange(0, 0.9), default=0.5, show_default=True, help="Of neighbouring windows."
)
@click.option(
    "--precision",
    type=click.Choice(["trained", "fp32"]),
    default="trained",
    show_default=True,
    help="As the model was trained, or float32.",
)
@click.option(
    "--check",
    type=click.IntRange(min=1),
    is_flag=False,
    flag_value=1,
    metavar="[CASES]",
    help="Predict the first cases in float32, too; exit 1 if over 1 voxel in 10 000 differs.",
)
@DEVICE
@PLUGIN
@DATA
@JSON
def command(model: Path, dataset: str, split: str | None, out: Path, check: int | None, **options: object) -> int:
    """Write a label map on its own grid for every case, with the model that `bench train` or `bench run` left.

    MODEL is the folder with model.safetensors and model.json. docs/predict.md says how a label map is made.
    """
    import msgspec

    from baselines.agreement import MOST, with_float32
    from baselines.config import PredictConfig
    from baselines.device import pick
    from baselines.predict import Setting, predict
    from bench import splits
    from bench.locate import locate
    from bench.phases import Phases

    found = locate(dataset, Path(str(options["data"])))
    chosen = found if split is None else found.only(splits.resolve(found, split).test)
    plugin = Path(str(options["plugin"])) if options["plugin"] else None
    config = msgspec.convert({key: options[key] for key in PredictConfig.__struct_fields__}, PredictConfig)
    with Phases() as phases:

        def setting(phase: str) -> Setting:
            told = lambda done, total: phases.tell(phase, done, total)  # noqa: E731
            return Setting(pick(str(options["device"])), plugin, told, config)

        cost = predict(model, found, chosen.cases, out, setting("predict"))
        checked = with_float32(model, found, chosen.cases[:check], out, setting("check")) if check else None
    if options["as_json"]:
        print_json({"predictions": str(out), "cost": cost} | ({"float32": checked} if checked else {}))
    else:
        say(f"{cost.items} label maps, {cost.seconds:.1f} s: {out}")
        if checked is not None:
            say(_sentence(checked))
    return int(checked is not None and checked.share > MOST)


def _sentence(checked: "Agreement") -> str:
    return (
        f"float32: {checked.differ} of {checked.voxels} voxels differ in the first {checked.cases} cases, "
        f"{checked.share * 1e4:.2f} in 10 000"
    )
