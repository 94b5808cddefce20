"""Whether a folder has room, can be written and locked, is safe from others, and has the right time."""

import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.finding import Finding
from converters.errors import EnvironmentFault
from converters.files import replacing
from converters.lock import locked

LEAST_FREE_GIB = 2.0  # a converted ACDC, its cache and one run
LEAST_FREE_FILES = 2000
MOST_SKEW_S = 60.0
DAY = 86400.0


def examine(folders: Mapping[str, Path | None]) -> Iterator[Finding]:
    """What is found in each folder, by its kind; None: there is none."""
    for kind, folder in folders.items():
        if folder is None:
            yield Finding(kind, "no folder: what would lie there is kept in memory")
            continue
        yield disk(folder)
        yield inodes(folder)
        yield writable(folder)
        yield lockable(folder)
        yield from rights(folder)
        yield from clock(folder)


def nearest(folder: Path) -> Path:
    """The folder, or the closest one above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())


def disk(folder: Path) -> Finding:
    """Free space where a folder is or would be."""
    free = shutil.disk_usage(nearest(folder)).free / 2**30
    mend = f"make room, at least {LEAST_FREE_GIB:.0f} GiB, or name another folder"
    return Finding(f"disk of {folder}", f"{free:.1f} GiB free", free >= LEAST_FREE_GIB, True, mend)


def inodes(folder: Path) -> Finding:
    """How many more files can be made: a disk with free space may have no room for another name."""
    name = f"inodes of {folder}"
    facts = os.statvfs(nearest(folder)) if hasattr(os, "statvfs") else None
    if facts is None or not facts.f_files:
        return Finding(name, "without a limit")
    mend = "remove small files (old runs' views, caches), or name a folder on another disk"
    return Finding(name, f"{facts.f_favail} files free", facts.f_favail >= LEAST_FREE_FILES, True, mend)


def writable(folder: Path) -> Finding:
    """Whether a file can be written whole and moved into place."""
    probe = nearest(folder) / f".frugalseg-probe-{os.getpid()}"
    name = f"write to {folder}"
    try:
        with replacing(probe) as temporary:
            temporary.write_bytes(b"probe")
        probe.unlink()
    except OSError as error:
        return Finding(name, error.strerror or str(error), False, True, "take a folder you may write to")
    return Finding(name, "works", True, True)


def lockable(folder: Path) -> Finding:
    """Whether a lock that is held keeps another out, as two runs in one folder rely on."""
    name, mend = f"lock in {folder}", "take a folder on another disk: there two processes could be at one run"
    try:
        with tempfile.TemporaryDirectory(prefix=".frugalseg-probe-", dir=nearest(folder)) as probe:
            held = _excludes(Path(probe))
    except (OSError, EnvironmentFault) as error:
        said = error.what if isinstance(error, EnvironmentFault) else error.strerror or str(error)
        return Finding(name, said, False, True, mend)
    return Finding(name, "works" if held else "two processes can have it at once", held, True, mend)


def _excludes(folder: Path) -> bool:
    with locked(folder):
        try:
            with locked(folder):
                return False
        except EnvironmentFault:
            return True


def rights(folder: Path) -> Iterator[Finding]:
    """A warning where anybody may change or replace what lies there."""
    mode = stat.S_IMODE(nearest(folder).stat().st_mode)
    if folder.is_dir() and mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        mend = f"chmod o-w '{folder}', or chmod +t where several people share it"
        yield Finding(f"rights of {folder}", f"{mode:o}: anybody may replace what lies there", False, mend=mend)


def clock(folder: Path) -> Iterator[Finding]:
    """What the clock of this machine says, against that of the disk and the age of the code."""
    try:
        with tempfile.NamedTemporaryFile(prefix=".frugalseg-probe-", dir=nearest(folder)) as probe:
            written = os.fstat(probe.fileno()).st_mtime
    except OSError:
        return  # it has been told that nothing can be written
    newest = max(path.stat().st_mtime for path in Path(__file__).parent.glob("*.py"))
    yield timing(folder, time.time_ns() / 1e9, written, newest)


def timing(folder: Path, now: float, written: float, newest: float) -> Finding:
    """Whether times fit together, all in seconds since 1970.

    Args:
        folder: where a file was written.
        now: what the clock says.
        written: the time that the disk gave the file.
        newest: the time of the newest file of this suite.
    """
    name = f"clock at {folder}"
    if now < newest - DAY:
        value = f"{(newest - now) / DAY:.0f} days behind the newest file of this suite"
        return Finding(name, value, False, mend="set the clock: secure connections fail, and files look old or new")
    if abs(now - written) > MOST_SKEW_S:
        value = f"the disk's time is {written - now:+.0f} s off this machine's"
        mend = "let both take their time from one server (NTP): what a killed run left is told by its age"
        return Finding(name, value, False, mend=mend)
    return Finding(name, "fits", True)
