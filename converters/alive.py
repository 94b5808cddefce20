"""Which processes of this machine live, and what the dead had begun to write."""

import contextlib
import glob
import os
import shutil
from pathlib import Path


def lives(pid: int, since: str = "") -> bool:
    """Whether a process of this machine lives; where it is known when it began, that one and no later one."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not since or since == born(pid)


def born(pid: int) -> str:
    """When the process began, or nothing where the system does not say."""
    try:
        # The second field, the name in brackets, may hold blanks.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def machine() -> str:
    """What tells this machine, since its last start, from every other of its name; nothing where nobody says."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def sweep(folder: Path, name: str) -> None:
    """Remove folders `.<name>.<pid>...tmp` of processes that are gone, and of this one: it begins anew."""
    for left in folder.glob(f".{glob.escape(name)}.*.tmp"):
        pid = left.name.removeprefix(f".{name}.").split(".")[0]
        # In a container the next process has the number of the last.
        if pid.isdecimal() and left.is_dir() and (int(pid) == os.getpid() or not lives(int(pid))):
            with contextlib.suppress(OSError):
                shutil.rmtree(left)
