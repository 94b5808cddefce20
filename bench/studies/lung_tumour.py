"""The lung-tumour tutorial: pictures in a folder, median filter, 60/20/20, early stopping, curves."""

from collections.abc import Iterator, Sequence

from bench.arms import DICE
from bench.locate import locate
from bench.madeup import How, made_up
from bench.study import PAGE, Asked, Run, Size, head, size_of, table
from converters.phantoms.folder import Quirks
from converters.preparation import Preparation
from leaderboards.change import grid
from leaderboards.contributions import interval
from leaderboards.record import Chosen, Record
from leaderboards.site.curves import learning
from leaderboards.site.figures import Drawing, save
from leaderboards.site.looks import looks
from leaderboards.summary import summarise

DATASET, CASES = "lung-tumour", 20
# What is not said here says the recipe `bench/recipes/lung-tumour.toml`.
SIZES = {
    "published": Size("published", {}),
    "cpu": Size("cpu", {}),
    "demo": Size("demo", {}),
    "tiny": Size(
        "demo",
        {
            "steps": "8",
            "batch": "2",
            "patch": "[16, 16]",
            "snapshots": "4",
            "threads": "1",
            "net": "{ options = { widths = [4, 8], dropout = [0.1, 0.3] } }",
        },
    ),
}


def prepare(study: Asked) -> None:
    """The phantom, two pictures a person; or look whether the user's folder has been converted.

    Raises:
        BenchError: there is no dataset `lung-tumour`.
    """
    if study.phantom:
        how = How(Quirks(speckle=True), Preparation(median=3), DATASET)
        made_up("folder", study.out / "raw", study.data, (study.cases or CASES, 0), how)
    locate(f"{study.prefix}{DATASET}", study.data)


def sweep(study: Asked) -> str:
    """One run a seed."""
    size = size_of(SIZES, study)
    lines = [
        "# Made by `bench study lung-tumour`; the recipe is bench/recipes/lung-tumour.toml.",
        "[defaults]",
        f'dataset = "{study.prefix}{DATASET}"',
        'split = "60-20-20"',
        f'preset = "{size.preset}"',
        f"seed = {list(study.seeds)}",
        "",
        *table(size.train, "defaults.train"),
        "[[run]]",
        'protocol = "full"',
    ]
    return "\n".join(lines) + "\n"


def page(runs: Sequence[Run]) -> dict[str, bytes]:
    """The tables and curves."""
    runs = sorted(runs, key=lambda run: run.record.seed)
    told = ["A U-Net for pictures with three colour classes, trained until validation gets no better."]
    lines = [*head("The lung-tumour tutorial", runs, told), *_stopped(runs), *_scores([run.record for run in runs])]
    lines += ["## Curves", ""]
    files: dict[str, bytes] = {}
    for run in runs:
        seed, chosen = run.record.seed, run.record.chosen
        for name, title, drawn in (
            (f"loss-{seed}.svg", f"Training loss, seed {seed}", learning(run.log)),
            (f"accuracy-{seed}.svg", f"Validation accuracy and Dice, seed {seed}", _looks(chosen)),
        ):
            if drawn is not None:
                files[name] = save(drawn, title).svg
                lines += [f"![{title}]({name})", "", f"{title}.", ""]
    return {PAGE: "\n".join(lines).encode(), **files}


def _looks(chosen: Chosen | None) -> Drawing | None:
    return None if chosen is None else looks(chosen)


def _stopped(runs: Sequence[Run]) -> Iterator[str]:
    """When each training ended, and what of it is tested."""
    rows = []
    for record in (run.record for run in runs):
        chosen, budget, train = record.chosen, record.budget, record.recipe.get("train")
        if chosen is None or budget is None or not isinstance(train, dict):
            continue
        labelled = budget.labelled_subjects - budget.validation_subjects
        cells = [record.seed, f"{max(chosen.dice)} of {train['steps']}", len(chosen.dice), chosen.step]
        cells += [f"{chosen.dice[chosen.step]:.3f}", f"{chosen.accuracy.get(chosen.step, 0.0):.3f}"]
        rows.append([*map(str, cells), str(labelled), str(budget.validation_subjects), record.id()[:8]])
    yield from ("## Early stopping", "")
    yield "Training ends when so many looks in a row as the recipe has patience were no better than the best before. It"
    yield "is told to end and no more: the people who were looked at count as labelled."
    yield ""
    columns = ("seed", "steps", "looks", "tested step", "validation Dice", "accuracy", "train", "validation", "record")
    yield from grid(columns, rows)
    yield ""


def _scores(records: Sequence[Record]) -> Iterator[str]:
    """Dice of each structure on the test people."""
    rows = []
    for label in dict.fromkeys(score.label for record in records for score in record.cases):
        repeats = [[score for score in record.cases if score.label == label] for record in records]
        mean, held = summarise(repeats, DICE), interval(repeats, DICE)
        if mean is not None:
            bounds = f"[{held.low:.3f}, {held.high:.3f}]" if held else ""
            rows.append([label, f"{mean.mean:.3f}", bounds, str(mean.n), str(len(records))])
    yield from ("## Test", "")
    yield from grid(("structure", "Dice", "95 % interval", "people", "seeds"), rows)
    yield ""
