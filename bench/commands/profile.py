"""Measure where a training's time and memory go, and write a trace and a page."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, JSON, learning
from bench.output import page_width, print_json, say
from converters.errors import UsageError, unknown_name
from converters.files import write_bytes

if TYPE_CHECKING:
    from baselines.latency import Prediction
    from baselines.trace import Training
    from bench.commands.run import Asked
    from bench.plan import Plan
    from converters.dataset import Case

TRACE, PAGE = "trace.json.gz", "profile.md"


@click.command()
@click.option("--dataset", required=True, help="A dataset: chaos, acdc ... or a converted folder's name (bench ls).")
@click.option("--protocol", default=None, help="Which labels may be seen: full, semi10, scribble, noisy ... [full]")
@click.option("--steps", type=click.IntRange(min=5), default=40, show_default=True, help="Steps after the warm-up.")
@click.option("--predict", is_flag=False, flag_value="", metavar="[CASE]", help="A prediction, too. [first test case]")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for both files.")
@learning
@DATA
@JSON
def command(
    dataset: str, protocol: str | None, steps: int, predict: str | None, out: Path, as_json: bool, **options: object
) -> None:
    """Train a few steps of a recipe, take their time apart, and write a torch trace and a one-page breakdown.

    No run is touched: what is trained here is thrown away.
    """
    from bench.breakdown import page
    from bench.commands.run import Asked
    from bench.terminal import lay_out
    from leaderboards.facts import machine_facts
    from leaderboards.render import markdown

    rest = dict.fromkeys(("split", "draw", "annotator", "unlabelled", "fold")) | {"seed": "0", "runs": Path("runs")}
    flags = {"show_config": False, "dry_run": False, "as_json": as_json}
    asked = Asked(dataset=dataset, protocol=protocol, **rest, **flags, **options)  # type: ignore[arg-type]
    plan = asked.plan(0)
    if plan.recipe.task != "labels":
        raise UsageError(f"task '{plan.recipe.task}' has no profile", mend="leave --set task out")
    case = None if predict is None else _case(plan, predict)
    machine = machine_facts()  # before the load that is made here
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".tmp", dir=out.parent) as place:
        trained, predicted = _measure(plan, asked, steps, case, Path(place))
        made = page(plan, machine, trained, predicted)
        out.mkdir(exist_ok=True)
        shutil.move(Path(place, "model", TRACE), out / TRACE)
        write_bytes(out / PAGE, markdown(made).encode())
    if as_json:
        print_json({"training": trained, "prediction": predicted, "machine": machine | trained.machine})
    else:
        click.echo(lay_out(made, page_width()))
        say(f"{out / PAGE}, {out / TRACE}")


def _case(plan: "Plan", typed: str) -> "Case":
    """The case of that id, or the first of the test subjects."""
    known = {case.id: case for case in plan.dataset.cases}
    if typed and typed not in known:
        raise unknown_name("case", typed, list(known))
    return known[typed] if typed else plan.test[0]


def _measure(
    plan: "Plan", asked: "Asked", steps: int, case: "Case | None", place: Path
) -> "tuple[Training, Prediction | None]":
    from baselines import latency, predict, trace, train
    from baselines.device import pick
    from bench.phases import Phases
    from bench.views import view

    recipe, device, model = plan.recipe, pick(asked.device), place / "model"
    with Phases() as phases:

        def told(done: int, total: int) -> None:
            phases.tell("train", done, total)

        seen = view(plan.dataset, plan.split, plan.protocol, recipe.draw, place / "view")
        setting = train.Setting(recipe.seed, device, asked.plugin, asked.packs, told)
        trained = trace.training(seen, recipe.train, model, setting, steps)
    if case is None:
        return trained, None
    where = predict.Setting(device, asked.plugin, config=recipe.predict)
    return trained, latency.prediction(model, plan.dataset, case, place / "predictions", where)
