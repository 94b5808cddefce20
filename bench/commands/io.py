"""Compare ways to feed a training with one's own data: memory, packed cache, record file, generator."""

import dataclasses
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.learning import Learning
from bench.options import DATA, JSON, learning
from bench.output import print_json, print_table, say

if TYPE_CHECKING:
    from bench.feeding.report import Comparison

ROUTES = ("memory", "pack", "records", "generator")


@click.command()
@click.option("--dataset", required=True, help="A dataset: chaos, acdc ... or a converted folder's name (bench ls).")
@click.option("--split", default=None, help="Name of a split of the dataset; its training subjects are fed.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--route", "routes", type=click.Choice(ROUTES), multiple=True, help="This one alone; several times.  [all]"
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Timed one after another.")
@click.option("--seconds", type=click.FloatRange(min=0), default=2.0, show_default=True, help="Length of a round.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("io"), show_default=True)
@click.option("--keep", is_flag=True, help="Leave the record file in OUT/scratch.")
@learning
@DATA
@JSON
@click.pass_context
def command(context: click.Context, /, **_: object) -> None:
    """Feed the training samples of a dataset in four ways and compare: samples/s, waiting, memory, disk.

    Writes io.json, io.md, io.svg and io.png to OUT. Nothing is trained; docs/io.md says how to read it.
    """
    from bench.feeding.report import COLUMNS, draw, notes, page, rows
    from converters.files import write_bytes, write_json
    from leaderboards.site.figures import save

    asked = Asked(**context.params)
    made = _compared(asked)
    drawn = draw(made)
    assert drawn is not None  # every comparison has a route
    files = save(drawn, f"Feeding {made.dataset}")
    write_bytes(asked.out / "io.svg", files.svg)
    write_bytes(asked.out / "io.png", files.png)
    write_bytes(asked.out / "io.md", page(made).encode())
    write_json(asked.out / "io.json", made)
    if asked.as_json:
        print_json(made)
        return
    print_table(COLUMNS, rows(made))
    for note in notes(made):
        say(note)
    say(f"{asked.out / 'io.md'}, io.json, io.svg, io.png")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked(Learning):
    """What was typed."""

    dataset: str
    split: str | None
    seed: int
    routes: tuple[str, ...]
    rounds: int
    seconds: float
    out: Path
    keep: bool
    data: Path
    as_json: bool


def _compared(asked: Asked) -> "Comparison":
    from bench import splits
    from bench.feeding.measure import SCRATCH, Fed, Job, compare
    from bench.feeding.report import NAMES, Comparison
    from bench.feeding.routes import Source, chosen
    from bench.locate import locate
    from leaderboards import facts

    dataset = locate(asked.dataset, asked.data)
    recipe = asked.recipe(asked.dataset, {"split": asked.split, "seed": asked.seed})
    view = chosen(dataset)
    view = chosen(view.only(splits.resolve(dataset, recipe.split_name).train))
    source = Source(view, recipe.train, asked.seed, asked.out / SCRATCH, asked.packs)
    jobs = [Job(route, source, asked.rounds, asked.seconds) for route in dict.fromkeys(asked.routes or ROUTES)]

    def told(fed: Fed) -> None:
        say(f"{NAMES[fed.route]}: {fed.median:.0f} samples/s, prepared in {fed.prepare_s:.1f} s")

    machine = facts.machine_facts()  # before: the load is then not our own
    done = compare(jobs, source.scratch, asked.keep, told)
    return Comparison(
        dataset=dataset.name,
        content_sha256=dataset.file.bench.content_sha256,
        cases=len(view.cases),
        patch=recipe.train.patch,
        batch=recipe.train.batch,
        command=_typed(asked, recipe.preset),
        machine=machine,
        code=facts.code_facts(),
        rounds=asked.rounds,
        seconds=asked.seconds,
        routes=tuple(done),
    )


def _typed(asked: Asked, preset: str) -> str:
    """The command line that feeds the same samples by the same routes again, quoted for a shell."""
    words = ["bench", "io", "--dataset", asked.dataset, "--preset", preset]
    one: dict[str, object] = {"split": asked.split, "method": asked.method, "config": asked.config}
    one |= {"plugin": asked.plugin, "seed": asked.seed or None}
    words += [word for name, value in one.items() if value is not None for word in (f"--{name}", str(value))]
    several = {"set": asked.settings, "route": asked.routes}
    words += [word for name, values in several.items() for value in values for word in (f"--{name}", value)]
    return shlex.join(words)
