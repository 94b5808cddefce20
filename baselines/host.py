"""Peak resident memory of this process and of those it started, from /proc; elsewhere of this process alone."""

import contextlib
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")


def reset_peaks() -> None:
    """Begin the peaks anew, where the system lets us: Linux, and a process of the same user."""
    for process in ("self", *_descendants("self")):
        with contextlib.suppress(OSError):
            (_PROC / process / "clear_refs").write_text("5")


def own_peak_mib() -> float:
    """Largest resident memory of this process since the last reset, in MiB."""
    if (found := _peak_mib("self")) is not None:
        return found
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def children_peak_mib() -> float:
    """Sum over the processes below this one that live now, of each one's own peak, in MiB.

    What the system keeps of ended ones is of no use: the memory of a child before exec counts there, and that is ours.
    """
    return sum(_peak_mib(process) or 0.0 for process in _descendants("self"))


def _peak_mib(process: str) -> float | None:
    with contextlib.suppress(OSError):
        for line in (_PROC / process / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return None


def _descendants(process: str) -> Iterator[str]:
    """Ids of the processes below this one; a process belongs to the thread that started it."""
    for thread in (_PROC / process / "task").glob("*/children"):
        started: list[str] = []
        with contextlib.suppress(OSError):
            started = thread.read_text().split()
        for child in started:
            yield child
            yield from _descendants(child)
