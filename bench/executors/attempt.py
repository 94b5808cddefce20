"""One `bench run` on whichever machine this is called: all that a cluster is given, and all that it gives back."""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import IO

from bench.executors.ends import SHOWN

LOOK_EVERY = 0.2
GRACE = 120.0  # seconds to save a checkpoint in


def attempt(words: Sequence[str], folder: str) -> tuple[int, str]:
    """The exit code of `bench run`, below zero for a signal, and the last lines it said; all go to stderr as well.

    A plain function of words: its arguments and result are the whole of what travels between machines.
    """
    cores = os.environ.get("SLURM_CPUS_PER_TASK")
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.executors.tied", str(os.getpid()), *words],
        cwd=folder if Path(folder).is_dir() else None,
        env={**({"OMP_NUM_THREADS": cores} if cores else {}), **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    assert process.stderr is not None
    last: collections.deque[str] = collections.deque(maxlen=SHOWN)
    reader = threading.Thread(target=_pass_on, args=(process.stderr, last), daemon=True)
    reader.start()
    with _warned(process):
        try:
            while process.poll() is None:
                time.sleep(LOOK_EVERY)
        except BaseException:  # whoever runs this stops it: a KeyboardInterrupt or a SystemExit
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            raise
    reader.join()
    return process.returncode, "\n".join(last)


def _pass_on(stream: IO[str], last: collections.deque[str]) -> None:
    for line in stream:
        sys.stderr.write(line)
        last.append(line.rstrip("\n"))


@contextlib.contextmanager
def _warned(process: subprocess.Popen[str]) -> Iterator[None]:
    """Slurm's warning that the time of a job is nearly over asks the run for a checkpoint."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "SIGUSR2"):
        yield
        return

    def ask(number: int, frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGUSR2, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR2, before)
