"""Where the runs of a sweep are made: here, as Slurm jobs or on a Ray cluster."""

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.executors import settings
from bench.output import say
from bench.signals import ending_on
from converters.errors import UsageError

if TYPE_CHECKING:
    from bench.executors.attempts import Machines
    from bench.executors.ends import End
    from bench.job import Job

EXECUTORS = ("local", "slurm", "ray")
FORMS = ("slurm-array", "jobs.jsonl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What was typed of it."""

    executor: str
    jobs: int | None
    gpus: str | None
    device: str
    retries: int
    slurm: tuple[str, ...]
    ray: tuple[str, ...]
    ray_address: str | None
    emit: str | None
    runs: Path

    def check(self) -> None:
        """An option of another executor is a mistake.

        Raises:
            UsageError: there is one.
        """
        if self.slurm and self.executor != "slurm" and self.emit != "slurm-array":
            raise UsageError("--slurm says nothing without --executor slurm or --emit slurm-array")
        if self.ray and self.executor != "ray":
            raise UsageError("--ray says nothing without --executor ray")
        if self.gpus is not None and (self.executor != "local" or self.emit):
            raise UsageError("--gpus is for --executor local; a cluster gives each run its own")

    @property
    def elsewhere(self) -> bool:
        """Whether another machine reads the command lines."""
        return self.executor != "local" or self.emit is not None

    def make(self, jobs: "Sequence[Job]") -> None:
        """Make the runs; a failure stops no other.

        Raises:
            EnvironmentFault: what the executor needs is not there.
            KeyboardInterrupt: asked to stop; those at work have saved a checkpoint.
        """
        if self.executor != "local":
            self._elsewhere(jobs)
            return
        slots = self._slots()
        at_once = self.jobs or len(slots) or 1
        if at_once == 1 and (self.gpus is None or not slots):
            _one_after_the_other(jobs)
            return
        from bench.executors.local import Processes

        told = _Told(jobs)
        Processes(at_once, told.ended, slots).run({number: job.words for number, job in enumerate(jobs)})

    def written(self, jobs: "Sequence[Job]") -> str:
        """The runs as a script or a list.

        Raises:
            UsageError: a setting that is not KEY=VALUE.
        """
        from bench.executors.emit import json_lines, slurm_array

        lines = [job.words for job in jobs]
        if self.emit == "jobs.jsonl":
            shown = ("dataset", "protocol", "method", "seed", "folder")
            found = [job.standing() for job in jobs]
            return json_lines(lines, [{name: getattr(one, name) for name in shown} for one in found])
        self._logs.mkdir(parents=True, exist_ok=True)  # Slurm makes no folder for a log, and then writes none
        asked = settings.parse("--slurm", self.slurm)
        return slurm_array(lines, self._logs, asked, gpu=self._gpu, limit=self.jobs)

    @property
    def _gpu(self) -> bool:
        return self.device.startswith("cuda")

    @property
    def _logs(self) -> Path:
        return (self.runs / "slurm").absolute()

    def _slots(self) -> list[str]:
        from bench.executors.local import visible_gpus

        if self.gpus is not None:
            return [part.strip() for part in self.gpus.split(",") if part.strip()]
        return visible_gpus() if self.device == "cuda" else []

    def _elsewhere(self, jobs: "Sequence[Job]") -> None:
        from bench.executors.attempts import Attempts

        with self._machines() as machines:
            attempts = Attempts[int, Any](machines, _Told(jobs, self.retries), self.retries, self.jobs)
            lines = {number: job.words for number, job in enumerate(jobs)}
            attempts.run(lines, lambda number: jobs[number].free())

    @contextlib.contextmanager
    def _machines(self) -> "Iterator[Machines[Any]]":
        if self.executor == "slurm":
            from bench.executors.slurm import Slurm

            yield Slurm(self._logs, settings.parse("--slurm", self.slurm), gpu=self._gpu, limit=self.jobs)
            return
        from bench.executors.ray import Ray

        # A thread of Ray prints which node has died; stdout is for what was asked for.
        with contextlib.redirect_stdout(sys.stderr):
            cluster = Ray(self.ray_address, settings.parse("--ray", self.ray), gpu=self._gpu)
            try:
                yield cluster
            finally:
                cluster.close()


class _Told:
    """Says what becomes of the runs."""

    def __init__(self, jobs: "Sequence[Job]", retries: int = 0) -> None:
        self._jobs, self._retries = jobs, retries

    def ended(self, key: int, end: "End") -> None:
        self._jobs[key].ended(self._which(key), end.told)

    def again(self, key: int, end: "End", number: int) -> None:
        say(f"{self._which(key)}: {end.told}; tried again, {number} of {self._retries}")

    def _which(self, key: int) -> str:
        return f"{key + 1} of {len(self._jobs)}"


def _one_after_the_other(jobs: "Sequence[Job]") -> None:
    with ending_on(signal.SIGINT, signal.SIGTERM):
        for number, job in enumerate(jobs, 1):
            job.here(f"{number} of {len(jobs)}")
