"""Make every run of a sweep file that is not made yet, or tell how far each is."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.executors.choice import EXECUTORS, FORMS, Choice
from bench.job import FINISHED, Job
from bench.options import CACHE, DATA, DEVICE, JSON, PLUGIN, TRACK, TRACK_PICTURES
from bench.output import page_width, print_json, print_table, say
from converters.errors import unknown_name

if TYPE_CHECKING:
    from bench.sweep import Standing, Unit
    from bench.tracking.told import Which

FAILED = 1
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(help=__doc__)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--only", multiple=True, metavar="METHOD", help="Runs of this method alone; may be given again.")
@click.option("--dry-run", "--list", "--status", "dry_run", is_flag=True, help="Tell how far each run is; run nothing.")
@click.option("--watch", is_flag=True, help="--status, kept up to date in a terminal until all is finished.")
@click.option("--emit", type=click.Choice(FORMS), help="Write what is left to do as this, to stdout; run nothing.")
@click.option("--collect", type=_FOLDER, help="Then copy finished records here: leaderboards/results.")
@click.option("--plan", type=_FOLDER, help="Say here what FILE will make, and run nothing: leaderboards/planned.")
@click.option("--runs", type=_FOLDER, default=Path("runs"), show_default=True)
@click.option(
    "--executor", type=click.Choice(EXECUTORS), default="local", show_default=True, help="Who makes the runs."
)
@click.option("--jobs", type=click.IntRange(min=1), help="Runs at a time. [1, one a GPU, or what a cluster gives]")
@click.option("--gpus", metavar="0,1", help="With --executor local: a run at a time on each. [--device cuda: all]")
@click.option("--retries", type=click.IntRange(min=0), default=2, show_default=True, help="Of a run a cluster cut off.")
@click.option("--slurm", multiple=True, metavar="KEY=VALUE", help="Of sbatch: partition, mem_gb, gpus_per_node ...")
@click.option("--ray", multiple=True, metavar="KEY=VALUE", help="A run needs: num_cpus, num_gpus, memory ...")
@click.option("--ray-address", envvar="RAY_ADDRESS", show_envvar=True, help="Of a Ray cluster. [one of this machine]")
@DEVICE
@PLUGIN
@CACHE
@TRACK
@TRACK_PICTURES
@DATA
@JSON
@click.pass_context
def command(context: click.Context, /, **_: object) -> int:
    """FILE is described in docs/sweep.md.

    Done runs are not repeated, a failed one is tried again and stops no other; exit code 1 where one has failed. After
    Ctrl-C the same command goes on where it stopped.
    """
    from bench.sweep import collect

    asked = Asked(**context.params)
    asked.choice.check()
    jobs = asked.all()
    jobs[0].run.trackers()  # what they lack is told before the first run
    if asked.plan is not None:
        say(f"wrote {_promise(jobs, asked.file, asked.plan)}")
        return 0
    if asked.emit is not None:
        _emit(asked.open(jobs), asked)
        return 0
    if asked.looks:
        _watch(jobs, asked)
    else:
        asked.choice.make(asked.open(jobs))
    standings = [job.standing() for job in jobs]
    _tell(standings, asked)
    if asked.collect is not None and not asked.looks:
        kept = collect(standings, asked.collect)
        say(f"{len(kept)} records in {asked.collect}; bench verify --out {asked.collect} says how far they hold")
    wrong = any(job.failed(found) for job, found in zip(jobs, standings, strict=True))
    return FAILED if wrong and not asked.looks else 0


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was typed."""

    file: Path
    only: tuple[str, ...]
    dry_run: bool
    watch: bool
    emit: str | None
    collect: Path | None
    plan: Path | None
    runs: Path
    executor: str
    jobs: int | None
    gpus: str | None
    retries: int
    slurm: tuple[str, ...]
    ray: tuple[str, ...]
    ray_address: str | None
    device: str
    plugin: Path | None
    cache: str | None
    track: tuple[str, ...]
    track_pictures: "Which | None"
    data: Path
    as_json: bool

    @property
    def looks(self) -> bool:
        """Whether nothing is run."""
        return self.dry_run or self.watch

    @property
    def choice(self) -> Choice:
        """Where the runs are made."""
        return Choice(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Choice)})

    def all(self) -> list[Job]:
        """Every run that is asked for, once."""
        from bench.sweep import read

        units = read(self.file)
        methods = {unit.method for unit in units}
        for name in self.only:
            if name not in methods:
                raise unknown_name("method in this sweep", name, methods)
        made = [Job.of(unit, self.words(unit)) for unit in units if not self.only or unit.method in self.only]
        once: dict[object, Job] = {}
        for job in made:  # two ways of saying the same are one run
            once.setdefault(job.words if job.plan is None else job.plan.folder, job)
        return list(once.values())

    def words(self, unit: "Unit") -> tuple[str, ...]:
        """The arguments of `bench run` for a run of the sweep."""

        def seen(path: Path) -> str:
            return str(path.absolute() if self.choice.elsewhere else path)

        common = ("--data", seen(self.data), "--runs", seen(self.runs), "--device", self.device)
        plugin = ("--plugin", seen(self.plugin)) if self.plugin is not None else ()
        cache = (
            () if self.cache is None else ("--cache", self.cache if self.cache == "none" else seen(Path(self.cache)))
        )
        track = [word for name in self.track for word in ("--track", name)]
        pictures = ("--track-pictures", self.track_pictures) if self.track_pictures is not None else ()
        return (*unit.words, *common, *plugin, *cache, *track, *pictures)

    def open(self, jobs: Sequence[Job]) -> list[Job]:
        """What is not finished, and nobody is at."""
        return [job for job in jobs if job.plan is not None and job.standing().state not in (*FINISHED, "running")]


def _promise(jobs: Sequence[Job], file: Path, out: Path) -> Path:
    """Write what the runs will be, for the rows `not run` of a leaderboard.

    Raises:
        BenchError: a dataset has not been converted, so that nobody can say.
    """
    from bench.sweep import promised
    from converters.files import write_json

    for job in jobs:
        if job.error is not None:
            raise job.error
    path = out / f"{file.stem}.json"
    write_json(path, promised([job.plan for job in jobs if job.plan is not None], f"bench sweep {file.as_posix()}"))
    return path


def _emit(jobs: Sequence[Job], asked: Asked) -> None:
    if jobs:
        click.echo(asked.choice.written(jobs), nl=False)
    say(f"{len(jobs)} runs left to do")


def _watch(jobs: Sequence[Job], asked: Asked) -> None:
    from rich.console import Console

    from bench.watch import watch

    out = Console(highlight=False, width=page_width())
    if asked.watch and out.is_terminal and not asked.as_json:
        watch(jobs, out)


def _tell(standings: "Sequence[Standing]", asked: Asked) -> None:
    from bench.watch import COLUMNS, counted, rows

    if asked.as_json:
        for found in standings:
            print_json(found)
        return
    print_table(COLUMNS, rows(standings))
    say(counted(standings))
