"""How much memory a piece of work takes, told by a process that does nothing else."""

import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 3


def extra_mib(work: Callable[[], object]) -> float:
    """Largest resident memory while it runs, above what was resident before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the high-water mark starts anew

    def status(field):
        return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1]) / 1024

    before = status("VmRSS")
    work()
    return status("VmHWM") - before


def peak_mib(script: str, *words: str | Path) -> float | None:
    """What `python SCRIPT WORDS` prints on its last line; None where memory is not told by /proc.

    The median of three fresh processes: one alone is off by up to 4 %, by the order in which threads asked for pages.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    return statistics.median(_printed(script, *map(str, words)) for _ in range(PROCESSES))


def _printed(*command: str) -> float:
    words = [sys.executable, *command]
    done = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])
