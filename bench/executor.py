"""Several `bench run` at once, each a process of its own, asked to stop together."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType
from typing import IO, Generic, TypeVar

LOOK_EVERY = 0.2  # seconds between two looks at the processes
SHOWN = 6  # last lines of what a process said

Key = TypeVar("Key")


class Processes(Generic[Key]):
    """Command lines of `bench run`, so many at a time; each is told of when it ends."""

    def __init__(self, jobs: int, ended: Callable[[Key, int, str], None]) -> None:
        self.jobs, self.ended = jobs, ended
        self._running: dict[Key, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}

    def run(self, lines: Mapping[Key, Sequence[str]]) -> None:
        """Start all in their order and wait for the last one.

        Raises:
            KeyboardInterrupt: asked to stop: no further one was started, and those at work have saved a checkpoint.
        """
        waiting = list(lines.items())
        with stopping_on_terminate():
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
        # A group of its own: what stops this process is handed on once, by it; a second signal would save nothing.
        process = subprocess.Popen(
            [sys.executable, "-m", "bench.cli", "run", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
            env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // self.jobs)), **os.environ},
        )
        self._running[key] = process, said

    def _look(self) -> None:
        for key, (process, said) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[key]
                said.seek(0)
                lines = said.read().decode(errors="replace").splitlines()
                said.close()
                self.ended(key, process.returncode, "\n".join(lines[-SHOWN:]))

    def _stop(self) -> None:
        for process, _ in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        while self._running:
            time.sleep(LOOK_EVERY)
            self._look()


@contextlib.contextmanager
def stopping_on_terminate() -> Iterator[None]:
    """SIGTERM means for the length of the block what Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
