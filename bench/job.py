"""A run of a sweep tied to the data it names: what an executor is given, and what is told of its end."""

import dataclasses
from typing import TYPE_CHECKING

from bench.output import say
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from bench.commands.run import Asked as Run
    from bench.plan import Plan
    from bench.sweep import Standing, Unit

FINISHED = ("done", "skipped")


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

    def free(self) -> bool:
        """Whether no living process is at it."""
        from converters.lock import holder

        return self.plan is None or holder(self.plan.folder) is None

    def here(self, which: str) -> None:
        """Make it in this process."""
        from baselines.device import pick
        from bench.phases import Phases
        from bench.run import Place, run

        assert self.plan is not None
        error = ""
        try:
            with Phases() as phases:
                place = Place(pick(self.run.device), self.run.plugin, self.run.packs, phases.tell, self.run.trackers())
                run(self.plan, place)
        except Exception as found:  # the record of the failure is written; the next run may do
            error = str(found)
        self.ended(which, error)

    def ended(self, which: str, error: str) -> None:
        """Tell how it ended: an error if it came to none of its own."""
        found, self.fault = self.standing(), error
        dice = f", Dice {found.dice:.3f}" if found.dice is not None else ""
        told = error or found.reason
        say(f"{which}: {name(found)}: {found.state}{dice}{f': {told}' if told else ''}")


def name(found: "Standing") -> str:
    """Which run it is, on one line."""
    return f"{found.dataset} {found.protocol} {found.method} seed {found.seed}"
