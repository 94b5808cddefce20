"""Make the runs of a study and its page: chaos-liver, lung-tumour."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.job import FINISHED, Job
from bench.options import CACHE, DATA, DEVICE
from bench.output import say

if TYPE_CHECKING:
    from bench.study import Asked, Study

FAILED = 1
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("name")
@click.option("--phantom", is_flag=True, help="Made-up patients, written and converted first.")
@click.option("--cases", type=click.IntRange(min=5), help="How many of these there are.")
@click.option("--size", help="Of the training: published, cpu, demo, tiny. [demo for a phantom, else as bench run]")
@click.option("--seed", default="0", show_default=True, help="One seed, or several: 0,1,2")
@click.option("--out", type=_FOLDER, help="Of the sweep file and the page. [studies/NAME]")
@click.option("--runs", type=_FOLDER, default=Path("runs"), show_default=True)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs at a time.")
@click.option("--data-only", is_flag=True, help="Make the data and the sweep file; then bench sweep makes the runs.")
@DEVICE
@CACHE
@DATA
def command(name: str, runs: Path, device: str, cache: str | None, data_only: bool, **typed: Any) -> int:
    """NAME is a study of docs/studies.md: its data, a sweep of ordinary recipes, one page made of their records.

    Goes on where it stopped; done runs are not repeated. The sweep file in --out may be given to bench sweep instead,
    on a cluster for instance; this command then finds its runs done and makes the page.
    """
    from bench.study import PAGE, SWEEP, check, find
    from converters.files import write_bytes

    study = find(name)
    asked = _asked(name, device, typed)
    check(study, asked)
    study.prepare(asked)
    write_bytes(asked.out / SWEEP, study.sweep(asked).encode())
    if data_only:
        say(f"wrote {asked.out / SWEEP}")
        return 0
    words = ["--data", str(asked.data), "--runs", str(runs), "--device", device, "--jobs", str(asked.jobs)]
    jobs = _swept(asked.out / SWEEP, [*words, *(["--cache", cache] if cache is not None else [])])
    made = _page(study, asked, jobs)
    say(f"{made} of {len(jobs)} runs: {asked.out / PAGE}")
    return 0 if made == len(jobs) else FAILED


def _asked(name: str, device: str, typed: dict[str, Any]) -> "Asked":
    from baselines.device import pick
    from bench.commands import run
    from bench.study import Asked

    parsed = run.command.make_context("bench run", ["--dataset", "x", "--seed", typed.pop("seed")])
    size = typed.pop("size") or ("demo" if typed["phantom"] else "cpu" if pick(device) == "cpu" else "published")
    out = typed.pop("out") or Path("studies") / name
    return Asked(size=size, out=out, seeds=tuple(run.Asked(**parsed.params).seeds()), **typed)


def _swept(file: Path, words: list[str]) -> list[Job]:
    """Every run of the sweep, made as `bench sweep` makes it."""
    from bench.commands import sweep

    parsed = sweep.command.make_context("bench sweep", [str(file), *words])
    asked = sweep.Asked(**parsed.params)
    jobs = asked.all()
    asked.choice.make(asked.open(jobs))
    return jobs


def _page(study: "Study", asked: "Asked", jobs: list[Job]) -> int:
    """Write the page of what is finished; how many runs that are."""
    from bench.study import Run
    from converters.files import write_bytes
    from leaderboards.record import Record
    from leaderboards.site import logs

    files = [job.plan.folder / "record.json" for job in jobs if job.plan and job.standing().state in FINISHED]
    records = {file: Record.load(file) for file in files}
    done = [Run(record, logs.read(logs.beside(file))) for file, record in records.items() if record.status == "done"]
    for path, data in (study.page(done) if done else {}).items():
        write_bytes(asked.out / path, data)
    return len(done)
