"""Make every run of a sweep file that is not made yet, or tell how far each is."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import CACHE, DATA, DEVICE, JOBS, JSON, PLUGIN
from bench.output import print_json, print_table, say
from converters.errors import BenchError, UsageError, unknown_name

if TYPE_CHECKING:
    from bench.commands.run import Asked as Run
    from bench.plan import Plan
    from bench.sweep import Standing, Unit

FAILED = 1
_FOLDER = click.Path(path_type=Path, file_okay=False)
FINISHED = ("done", "skipped")


@click.command(help=__doc__)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--only", multiple=True, metavar="METHOD", help="Runs of this method alone; may be given again.")
@click.option("--dry-run", "--list", "--status", "dry_run", is_flag=True, help="Tell how far each run is; run nothing.")
@click.option("--collect", type=_FOLDER, help="Then copy finished records here: leaderboards/results.")
@click.option("--plan", type=_FOLDER, help="Say here what FILE will make, and run nothing: leaderboards/planned.")
@click.option("--runs", type=_FOLDER, default=Path("runs"), show_default=True)
@JOBS
@DEVICE
@PLUGIN
@CACHE
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
    jobs = asked.all()
    if asked.plan is not None:
        say(f"wrote {_promise(jobs, asked.file, asked.plan)}")
        return 0
    if not asked.dry_run:
        asked.carry_out(jobs)
    standings = [job.standing() for job in jobs]
    _tell(standings, asked)
    if asked.collect is not None and not asked.dry_run:
        kept = collect(standings, asked.collect)
        say(f"{len(kept)} records in {asked.collect}; bench verify --out {asked.collect} says how far they hold")
    wrong = any(job.failed(found) for job, found in zip(jobs, standings, strict=True))
    return FAILED if wrong and not asked.dry_run else 0


@dataclasses.dataclass
class Job:
    """A run of the sweep on the data it names, or why that cannot be."""

    unit: "Unit"
    words: tuple[str, ...]  # of `bench run`, with the options of the sweep
    run: "Run"
    plan: "Plan | None" = None
    error: BenchError | None = None
    fault: str = ""  # what was said when it ended without coming to its end

    @classmethod
    def of(cls, unit: "Unit", words: tuple[str, ...]) -> "Job":
        """Planned, as far as that is possible.

        Raises:
            UsageError, BenchError: the file asks for what no run can be; data that are absent are no such thing.
        """
        from bench.commands import run
        from bench.locate import locate
        from bench.recipe import dataset_name

        parsed = run.command.make_context("bench run", list(words))
        job = cls(unit, words, run.Asked(**parsed.params))
        if (job.run.data / dataset_name(job.run.dataset) / "dataset.json").is_file():
            job.plan = job.run.plan(job.run.seeds()[0])
            return job
        try:
            locate(job.run.dataset, job.run.data)
        except UsageError:
            raise  # nor is there such a dataset in the world
        except BenchError as error:
            job.error = error
        return job

    def standing(self) -> "Standing":
        """How far it is."""
        from bench.sweep import lost, standing

        if self.plan is None:
            assert self.error is not None
            return lost(self.unit, self.error)
        return standing(self.unit, self.plan)

    def failed(self, found: "Standing") -> bool:
        """Whether something went wrong; what could not even begin has nowhere to leave a record of that."""
        open_ = found.state not in (*FINISHED, "running")
        return found.state == "failed" or (open_ and (self.error is not None or bool(self.fault)))


@dataclasses.dataclass(frozen=True)
class Asked:
    """What was typed."""

    file: Path
    only: tuple[str, ...]
    dry_run: bool
    collect: Path | None
    plan: Path | None
    runs: Path
    jobs: int
    device: str
    plugin: Path | None
    cache: str | None
    data: Path
    as_json: bool

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
        common = ("--data", str(self.data), "--runs", str(self.runs), "--device", self.device)
        plugin = ("--plugin", str(self.plugin)) if self.plugin is not None else ()
        cache = ("--cache", self.cache) if self.cache is not None else ()
        return (*unit.words, *common, *plugin, *cache)

    def carry_out(self, jobs: Sequence[Job]) -> None:
        """Make what is not finished, one after the other or several at once; a failure stops no other run."""
        from bench.executor import Processes, stopping_on_terminate

        open_ = [job for job in jobs if job.plan is not None and job.standing().state not in (*FINISHED, "running")]
        if self.jobs == 1:
            with stopping_on_terminate():
                for number, job in enumerate(open_, 1):
                    _made_here(job, f"{number} of {len(open_)}")
            return

        def ended(number: int, code: int, said: str) -> None:
            _ended(open_[number], f"{number + 1} of {len(open_)}", said if code else "")

        Processes(self.jobs, ended).run({number: job.words for number, job in enumerate(open_)})


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


def _made_here(job: Job, which: str) -> None:
    """One run, in this process."""
    from baselines.device import pick
    from bench.phases import Phases
    from bench.run import Place, run

    assert job.plan is not None
    error = ""
    try:
        with Phases() as phases:
            run(job.plan, Place(pick(job.run.device), job.run.plugin, job.run.packs, phases.tell))
    except Exception as found:  # the record of the failure is written; the next run may do
        error = str(found)
    _ended(job, which, error)


def _ended(job: Job, which: str, error: str) -> None:
    found, job.fault = job.standing(), error
    dice = f", Dice {found.dice:.3f}" if found.dice is not None else ""
    told = error or found.reason
    say(f"{which}: {_name(found)}: {found.state}{dice}{f': {told}' if told else ''}")


def _name(found: "Standing") -> str:
    return f"{found.dataset} {found.protocol} {found.method} seed {found.seed}"


def _tell(standings: "Sequence[Standing]", asked: Asked) -> None:
    if asked.as_json:
        for found in standings:
            print_json(found)
        return
    rows = [
        [
            found.state,
            found.dataset,
            found.protocol,
            found.method,
            str(found.seed),
            f"{found.steps}/{found.of}" if found.of else "",
            "" if found.dice is None else f"{found.dice:.4f}",
            found.reason or found.folder,
        ]
        for found in standings
    ]
    print_table(["state", "dataset", "protocol", "method", "seed", "steps", "Dice", "folder, or reason"], rows)
    counts = Counter(found.state for found in standings)
    say(", ".join(f"{count} {state}" for state, count in counts.items()))
