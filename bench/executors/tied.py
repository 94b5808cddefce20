"""`bench run` as a process that does not outlive the one that started it: `python -m bench.executors.tied PID WORDS`.

On a cluster the process that started it is what the scheduler knows of. When that dies, a run left behind would hold a
GPU that the scheduler takes for free. It is asked to stop instead, and saves a checkpoint. Linux alone can do that;
elsewhere the run comes to its end, and its lock keeps the next one away until then.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(words: list[str]) -> None:
    """The first word is the pid of the process that this one is tied to, the others are those of `bench run`."""
    if hasattr(signal, "SIGUSR2"):
        # Slurm warns every process of a job before its time is over. Who started this one hands that on, as SIGTERM.
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    _tie(int(words[0]))
    from bench.cli import main as bench

    bench(["run", *words[1:]])


def _tie(parent: int) -> None:
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before that
        sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main(sys.argv[1:])
