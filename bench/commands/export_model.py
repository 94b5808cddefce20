"""Write a trained model for elsewhere: ONNX, or the layout of Hugging Face."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, DEVICE, JSON, PLUGIN
from bench.output import print_json, say

if TYPE_CHECKING:
    from baselines.export import Grounds


@click.command()
@click.argument("model", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--to", required=True, metavar="LAYOUT", help="onnx or huggingface.")
@click.option("--dataset", default=None, help="A converted dataset to compare label maps on. [made-up windows]")
@click.option("--split", default="default", show_default=True, help="Its test subjects are compared.")
@click.option("--cases", type=click.IntRange(min=1), default=None, help="The first so many of them. [all]")
@click.option(
    "--record",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    default=None,
    help="Whose scores the card tells. [record.json of the run that MODEL lies in]",
)
@click.option("--licence", default="other", show_default=True, help="Of the weights, as Hugging Face names it.")
@DEVICE
@PLUGIN
@DATA
@JSON
def command(model: Path, out: Path, to: str, **options: object) -> None:
    """Write MODEL, the folder of a trained model, to the new folder OUT, which `bench predict` takes.

    The exported model and the trained one in float32 label the same images; where more than 1 voxel in 10 000 differs,
    nothing is written and the exit code is 1. README.md is a model card with the scores of the run's record.
    """
    from baselines.device import pick
    from baselines.export import Asked, export
    from baselines.predict import Setting
    from bench.modelcard import About, card
    from converters.errors import BenchError
    from leaderboards.record import Record

    if not (model / "model.safetensors").is_file():
        raise BenchError("no model.safetensors here", where=model, mend="give the folder of a model that was trained")
    beside = model.resolve().parent / "record.json"
    told = options["record"] or (beside if beside.is_file() else None)
    record = Record.load(Path(str(told))) if told else None
    plugin = Path(str(options["plugin"])) if options["plugin"] else None
    setting = Setting(pick(str(options["device"])), plugin)
    readme = partial(card, About(record, str(options["licence"])))
    parity = export(model, out, Asked(to, setting, readme, _grounds(options)))
    if options["as_json"]:
        print_json({"model": str(out), "parity": parity, "record": record.id() if record else None})
    else:
        say(f"{to}: {parity.sentence()}; scores: {'of ' + record.id()[:12] if record else 'none'}: {out}")


def _grounds(options: dict[str, object]) -> "Grounds | None":
    """The cases that both models label."""
    from baselines.export import Grounds
    from bench import splits
    from bench.locate import locate

    if options["dataset"] is None:
        return None
    found = locate(str(options["dataset"]), Path(str(options["data"])))
    chosen = found.only(splits.resolve(found, str(options["split"])).test)
    count = options["cases"]
    return Grounds(found, chosen.cases[: int(str(count))] if count else chosen.cases)
