"""How much memory a piece of work takes, told by a process that does nothing else."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def extra_mib(work: Callable[[], object]) -> float:
    """Largest resident memory while it runs, above what was resident before."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the high-water mark starts anew

    def status(field):
        return int(re.search(rf"{field}:\s+(\d+)", Path("/proc/self/status").read_text(encoding="ascii"))[1]) / 1024

    before = status("VmRSS")
    work()
    return status("VmHWM") - before


def peak_mib(script: str, *words: str | Path) -> float | None:
    """What `python SCRIPT WORDS` prints on its last line; None where memory is not told by /proc."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, script, *map(str, words)]
    # A test before may have set this for its workers; the script has its neighbours to import.
    env = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return float(done.stdout.splitlines()[-1])
