"""Write what training may see of a dataset under a protocol, as a dataset folder."""

from pathlib import Path

import click

from bench.options import DATA, DRY_RUN, JSON, TASK, UNLABELLED
from bench.output import print_json, say


@click.command()
@click.argument("dataset")
@click.option("--protocol", default="full", show_default=True, help="full, semi10, scribble, noisy ... (bench ls)")
@click.option(
    "--annotator",
    default=None,
    metavar="NAME[:OPTION=NUMBER]",
    help="Who drew the labels, where a protocol leaves a choice, and how.",
)
@click.option("--draw", default=None, help="Which subjects are labelled: a number, or the name of a published list.")
@click.option("--split", default=None, help="Name of a split of the dataset.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=None, help="[views/DATASET/PROTOCOL]")
@UNLABELLED
@TASK
@DATA
@DRY_RUN
@JSON
def command(
    dataset: str,
    protocol: str,
    annotator: str | None,
    draw: str | None,
    split: str | None,
    out: Path | None,
    unlabelled: str | None,
    task: str | None,
    data: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Write what training may see of DATASET (a name, or a folder) under a protocol.

    The folder has the format of a dataset, no path in it leads to a hidden label, and `bench show` opens it. Split and
    draw are those of `bench run` when not given.
    """
    from bench import protocols, recipe, splits
    from bench.budget import budget
    from bench.locate import locate
    from bench.task_view import shown
    from bench.views import view
    from converters.dataset import Dataset

    folder = Path(dataset)
    whole = Dataset.load(folder) if (folder / "dataset.json").is_file() else locate(dataset, data)
    flags = {"split": split, "task": task, "draw": None if draw is None else splits.parse_draw(draw)}
    usual = recipe.resolve(recipe.Choice(dataset=whole.name, preset="cpu", flags=flags), bf16=False)
    chosen = splits.resolve(whole, usual.split_name)
    wanted = protocols.parse(protocol, annotator=annotator)
    target = out or Path("views") / whole.name / wanted.name
    facts = {"dataset": whole.name, "protocol": wanted.name, "split": chosen.name, "draw": usual.draw}
    facts |= {"task": usual.task} if task is not None else {}
    if dry_run:
        labelled = shown(whole, chosen, wanted, usual.draw, usual.task)
        print_json(facts | {"labelled_subjects": labelled}) if as_json else say(
            f"would show {len(labelled)} of {len(chosen.train)} training subjects: {', '.join(labelled)}"
        )
        return
    others = locate(unlabelled, data) if unlabelled else None
    seen = view(whole, chosen, wanted, usual.draw, target, others=others, task=usual.task)
    for notice in protocols.notices(seen):
        say(notice)
    cost = budget(seen, whole)
    if as_json:
        print_json(facts | {"folder": str(target), "cases": len(seen.cases), "budget": cost})
    else:
        told = f"{cost.labelled_cases} of {len(seen.cases)} cases with labels, {cost.annotated_slices} slices"
        say(f"{whole.name} {wanted.name}, split {chosen.name}, draw {usual.draw}: {told}: {target}")
