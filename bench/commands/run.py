"""Train, predict and score one method under one protocol, and record it."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.learning import Learning
from bench.options import DATA, DRY_RUN, JSON, TASK, TRACK, TRACK_PICTURES, UNLABELLED, learning
from bench.output import print_json, say
from bench.phases import Phases

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.tracking.courier import Wanted
    from bench.tracking.told import Which
    from leaderboards.record import Record


@click.command()
@click.option("--dataset", required=True, help="A dataset: chaos, acdc ... or a converted folder's name (bench ls).")
@click.option("--protocol", default=None, help="Which labels may be seen: full, semi10, scribble, noisy ... [full]")
@click.option("--split", default=None, help="Name of a split of the dataset.")
@click.option("--draw", default=None, help="Which subjects are labelled: a number, or the name of a published list.")
@click.option("--seed", default="0", help="One seed, or several: 0,1,2", show_default=True)
@click.option(
    "--annotator",
    default=None,
    metavar="NAME[:OPTION=NUMBER]",
    help="Who drew the labels, where a protocol leaves a choice, and how.",
)
@UNLABELLED
@TASK
@click.option("--fold", type=click.IntRange(min=0), default=None, help="Fold of a cross-validation split.")
@learning
@click.option("--runs", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True)
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share each batch, a GPU each.",
)
@TRACK
@TRACK_PICTURES
@click.option("--show-config", is_flag=True, help="Print the whole recipe and stop.")
@DATA
@DRY_RUN
@JSON
@click.pass_context
def command(context: click.Context, /, **_: object) -> int | None:
    """Train, predict and score one method under one protocol, and record it.

    Done runs are not repeated; interrupted ones continue where they stopped.
    """
    asked = Asked(**context.params)
    asked.trackers()  # what is lacking is told before anything begins
    if asked.show_config or asked.dry_run:
        for plan in map(asked.plan, asked.seeds()):
            if asked.show_config:
                print_json(plan.recipe)
            else:
                _tell_plan(plan, asked)
        return None
    return _carry_out(asked, context.find_root().obj["words"])


def _carry_out(asked: "Asked", words: Sequence[str]) -> int | None:
    """Every run in turn: in this process, as one of several ranks, or by ranks that are started for it."""
    from baselines import ranks
    from baselines.device import pick
    from baselines.ranks_join import joined, several
    from bench.ranks import follow, start
    from bench.run import Place

    place = Place(pick(asked.device), asked.plugin, asked.packs)
    if asked.ranks > 1 and not several(os.environ):
        return start(words, asked.ranks, [asked.plan(seed) for seed in asked.seeds()], place)
    with joined(place.device) as device:
        for plan in map(asked.plan, asked.seeds()):
            if ranks.leads():
                _tell(_run(plan, asked, device), plan, asked)
            else:
                follow(plan, dataclasses.replace(place, device=device))
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(Learning):
    """What was typed."""

    dataset: str
    protocol: str | None
    split: str | None
    draw: str | None
    seed: str
    annotator: str | None
    unlabelled: str | None
    task: str | None = None
    fold: int | None
    runs: Path
    ranks: int = 1
    track: tuple[str, ...] = ()
    track_pictures: "Which | None" = None
    show_config: bool
    data: Path
    dry_run: bool
    as_json: bool

    def seeds(self) -> list[int]:
        """The seeds, in the order typed."""
        if not all(part.strip().isdecimal() for part in self.seed.split(",")):
            raise click.BadParameter(f"'{self.seed}' is no list of seeds; give 0 or 0,1,2", param_hint="--seed")
        return [int(part) for part in self.seed.split(",")]

    def trackers(self) -> "tuple[Wanted, ...]":
        """Who is told how it goes.

        Raises:
            UsageError: there is no such tracker.
            EnvironmentFault: its package is not installed.
        """
        if not self.track:
            return ()
        from bench.tracking.choose import chosen

        return chosen(self.track, self.runs, self.track_pictures)

    def plan(self, seed: int) -> "Plan":
        """The recipe on the data it names."""
        from bench import unlabelled
        from bench.locate import locate
        from bench.plan import plan
        from bench.splits import parse_draw

        flags = {
            "protocol": self.protocol,
            "split": self.split,
            "draw": parse_draw(self.draw) if self.draw is not None else None,
            "seed": seed,
            "annotator": self.annotator,
            "unlabelled": self.unlabelled,
            "task": self.task,
            "fold": self.fold,
        }
        dataset, recipe = locate(self.dataset, self.data), self.recipe(self.dataset, flags)
        others = locate(recipe.unlabelled, self.data) if recipe.unlabelled else None
        if others is not None:
            unlabelled.check(dataset, others)
        return plan(recipe, dataset, self.runs, others)


def _run(plan: "Plan", asked: Asked, device: str) -> "Record":
    from bench.protocols import notices
    from bench.run import Place, run
    from converters.dataset import Dataset

    train = plan.recipe.train
    say(f"{_name(plan)}: preset {plan.recipe.preset}, {train.steps} steps, {train.precision}, in {plan.folder}")
    with Phases() as phases:
        record = run(plan, Place(device, asked.plugin, asked.packs, phases.tell, asked.trackers()))
    view = plan.folder / "view"
    # A finished run needs its view no longer: it may have been removed to save space.
    for notice in notices(Dataset.load(view)) if view.is_dir() else ():
        say(notice)
    return record


def _tell_plan(plan: "Plan", asked: Asked) -> None:
    from bench.task_view import shown

    labelled = shown(plan.dataset, plan.split, plan.protocol, plan.recipe.draw, plan.recipe.task)
    facts = {
        "folder": str(plan.folder),
        "preset": plan.recipe.preset,
        "train_subjects": len(plan.split.train),
        "labelled_subjects": list(labelled),
        "test_cases": len(plan.test),
        "done": (plan.folder / "record.json").is_file(),
        "recipe": plan.recipe,
    }
    if asked.as_json:
        print_json(facts)
        return
    say(f"would run {_name(plan)}")
    for key, value in facts.items():
        if key != "recipe":
            say(f"  {key}: {value}")


def _tell(record: "Record", plan: "Plan", asked: Asked) -> None:
    from bench.commands.table import show
    from leaderboards.table import rows

    if asked.as_json:
        print_json(record)
    elif record.status == "skipped":
        say(f"skipped: {record.reason}")
    else:
        show(rows([record])[0], "terminal", per_label=False)
        say(f"record: {plan.folder / 'record.json'}")


def _name(plan: "Plan") -> str:
    recipe = plan.recipe
    task = f"{recipe.task} " if recipe.task != "labels" else ""
    return f"{plan.dataset.name} {plan.protocol.name} {task}{recipe.train.method} seed {recipe.seed}"
