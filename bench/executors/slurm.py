"""Runs as Slurm jobs, or with `cluster=local` as submitit's jobs on this machine.

submitit writes what it submits and what comes back as pickles into the folder of its logs. They hold words and a number
(`bench.executors.attempt`), and nobody but the owner of the runs writes there.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.executors.attempt import attempt
from bench.executors.ends import End
from bench.executors.settings import Value
from converters.errors import EnvironmentFault, UsageError

if TYPE_CHECKING:
    from submitit import Job

MINUTES = 720  # of a job, unless timeout_min or time says otherwise; submitit's own are five
LARGEST = 1000  # jobs of an array; Slurm's default for MaxArraySize is 1001
ASK_EVERY = 60.0  # seconds between two questions to Slurm's accounting, one for all jobs
GRACE = 120.0  # seconds to wait for jobs that were taken back

# What submitit takes for any cluster; all else is Slurm's own and has the prefix slurm_.
SHARED = ("name", "timeout_min", "mem_gb", "nodes", "cpus_per_task", "gpus_per_node", "tasks_per_node")
_GPUS = ("gpus_per_node", "slurm_gpus_per_node", "slurm_gpus_per_task", "slurm_gres", "slurm_num_gpus")


class Slurm:
    """Job arrays, with a log folder for each job."""

    look_every = 1.0

    def __init__(self, logs: Path, settings: Mapping[str, Value], *, gpu: bool, limit: int | None) -> None:
        """Each run gets one GPU if it needs one and the settings say nothing of it.

        Raises:
            EnvironmentFault: submitit or Slurm is not there.
            UsageError: a setting that submitit does not know.
        """
        try:
            import submitit
        except ModuleNotFoundError:
            raise EnvironmentFault("submitit is not installed", mend="pip install 'frugalseg[slurm]'") from None
        self._logs, self._asked = logs, time.monotonic()
        try:
            self._executor = submitit.AutoExecutor(folder=logs / "%j", cluster=str(settings.get("cluster", "slurm")))
        except (RuntimeError, ValueError) as error:
            raise EnvironmentFault(
                f"Slurm: {error}", mend="bench sweep where sbatch is, or --emit slurm-array"
            ) from None
        try:
            self._executor.update_parameters(**parameters(settings, gpu=gpu, limit=limit))
        except (NameError, ValueError, AssertionError) as error:
            first = str(error).partition(" Valid arguments")[0].splitlines()[0]
            raise UsageError(
                f"--slurm: {first}", mend="the names are those of sbatch: partition, mem, gres ..."
            ) from None
        self._lost = submitit.core.utils.UncompletedJobError, submitit.core.utils.FailedJobError

    def submit(self, lines: Sequence[Sequence[str]]) -> "list[Job[tuple[int, str]]]":
        """One array, or several where they are too many."""
        self._logs.mkdir(parents=True, exist_ok=True)
        here, jobs = str(Path.cwd()), []
        for some in _parts(lines):
            with self._executor.batch():
                jobs += [self._executor.submit(attempt, list(words), here) for words in some]
        return jobs

    def end(self, handle: "Job[tuple[int, str]]") -> End | None:
        """What came back; nobody came back from a job that was killed or whose node failed."""
        if not handle.done(force_check=self._may_ask()):
            return None
        try:
            return End(*handle.result())
        except self._lost:
            return End(None, f"job {handle.job_id} ended as {handle.state}; its log: {handle.paths.stderr}")

    def stop(self, handles: "Sequence[Job[tuple[int, str]]]") -> None:
        """Slurm asks each process of a job, the run too, to end."""
        for job in handles:
            job.cancel(check=False)
        until = time.monotonic() + GRACE
        while not all(job.done(force_check=self._may_ask()) for job in handles) and time.monotonic() < until:
            time.sleep(self.look_every)

    def _may_ask(self) -> bool:
        if time.monotonic() - self._asked < ASK_EVERY:
            return False
        self._asked = time.monotonic()
        return True


def parameters(settings: Mapping[str, Value], *, gpu: bool, limit: int | None) -> dict[str, Value]:
    """What submitit is given: its own names as they are, those of sbatch with the prefix slurm_."""
    asked = {
        key if key in SHARED or key.startswith("slurm_") else f"slurm_{key}": value
        for key, value in settings.items()
        if key != "cluster"
    }
    chosen: dict[str, Value] = {"name": "bench"}
    chosen |= {} if "slurm_time" in asked else {"timeout_min": MINUTES}
    chosen |= {"gpus_per_node": 1} if gpu and not any(name in asked for name in _GPUS) else {}
    chosen |= {"slurm_array_parallelism": limit} if limit is not None else {}
    return chosen | asked


def _parts(lines: Sequence[Sequence[str]]) -> Iterator[Sequence[Sequence[str]]]:
    for start in range(0, len(lines), LARGEST):
        yield lines[start : start + LARGEST]
