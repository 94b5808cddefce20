"""Several `bench run` at once on this machine, each a process of its own, asked to stop together."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Generic, NamedTuple, TypeVar

from bench.executors.ends import SHOWN, End
from bench.signals import ending_on

LOOK_EVERY = 0.2  # seconds between two looks at the processes

Key = TypeVar("Key")


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    gpu: str | None


class Processes(Generic[Key]):
    """Command lines of `bench run`, so many at a time; each is told of when it ends.

    Where GPUs are named, each run has the next free one of the list to itself and sees no other; one that is named
    twice takes two runs at a time.
    """

    def __init__(self, jobs: int, ended: Callable[[Key, End], None], gpus: Sequence[str] = ()) -> None:
        self.jobs, self.ended = min(jobs, len(gpus) or jobs), ended
        self._gpus = list(gpus)  # that are free
        self._running: dict[Key, _Running] = {}

    def run(self, lines: Mapping[Key, Sequence[str]]) -> None:
        """Start all in their order and wait for the last one.

        Raises:
            KeyboardInterrupt: asked to stop: no further one was started, and those at work have saved a checkpoint.
        """
        waiting = list(lines.items())
        with ending_on(signal.SIGINT, signal.SIGTERM):
            try:
                while waiting or self._running:
                    while waiting and len(self._running) < self.jobs:
                        key, words = waiting.pop(0)
                        self._start(key, words)
                    time.sleep(LOOK_EVERY)
                    self._look()
            except KeyboardInterrupt:
                self._stop()
                raise

    def _start(self, key: Key, words: Sequence[str]) -> None:
        said = tempfile.TemporaryFile()  # noqa: SIM115  (closed when the process has ended)
        gpu = self._gpus.pop(0) if self._gpus else None
        seen = {} if gpu is None else {"CUDA_VISIBLE_DEVICES": gpu}
        threads = str(max(1, (os.cpu_count() or 1) // self.jobs))
        # A group of its own: what stops this process is handed on once, by it; a second signal would save nothing.
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.cli", "run", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            env={"OMP_NUM_THREADS": threads, **os.environ, **seen},
        )
        self._running[key] = _Running(process, said, gpu)

    def _look(self) -> None:
        for key, (process, said, gpu) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[key]
                self._gpus += [gpu] if gpu is not None else []
                said.seek(0)
                lines = said.read().decode(errors="replace").splitlines()
                said.close()
                self.ended(key, End(process.returncode, "\n".join(lines[-SHOWN:])))

    def _stop(self) -> None:
        for running in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                running.process.send_signal(signal.SIGINT)
        while self._running:
            time.sleep(LOOK_EVERY)
            self._look()


def visible_gpus() -> list[str]:
    """The GPUs that a process started here may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [part.strip() for part in named.split(",") if part.strip()]
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
