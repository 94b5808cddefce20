"""One process per folder, of a run or of a dataset: a lock that says who holds it, and that a dead one cannot keep."""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters.errors import EnvironmentFault
from converters.files import Strict


class Holder(Strict):
    """Who works in a folder. Stays on this machine; no record, page or dataset holds it."""

    pid: int
    host: str
    since: str
    born: str = ""  # when the process began, in ticks since the start of the machine: pids are used again


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the length of the block. A folder that nobody may write to needs no lock.

    Raises:
        EnvironmentFault: another living process holds it; names its pid, host and start.
    """
    path = folder / "lock.json"
    pid = os.getpid()
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    mine = Holder(pid=pid, host=socket.gethostname(), since=since, born=_born(pid))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _take(path, mine)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault("the disk is full", where=folder, mend="free some space") from None
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
        yield
        return
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def holder(folder: Path) -> Holder | None:
    """The living process that holds the folder, or None."""
    found = _read(folder / "lock.json")
    return None if found is None or _stale(found) else found


def _take(path: Path, mine: Holder) -> None:
    if _create(path, mine):
        return
    holder = _read(path)
    if holder is not None and not _stale(holder):
        raise EnvironmentFault(
            f"process {holder.pid} on {holder.host} has been at work here since {holder.since}",
            where=path.parent,
            mend="wait for it, or stop it; a lock left by a dead process on this machine is taken over by itself, "
            f"one of another machine goes with {path.name}",
        )
    _put_aside(path, holder)
    if not _create(path, mine):
        raise EnvironmentFault("another process has just started here", where=path.parent, mend="wait for it")


def _put_aside(path: Path, stale: Holder | None) -> None:
    """Remove a lock of the dead, but not one that a living process has put in its place in this moment."""
    aside = path.with_name(f".lock.{os.getpid()}.old.tmp")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    if _read(aside) != stale:
        aside.rename(path)
        return
    aside.unlink()


def _create(path: Path, holder: Holder) -> bool:
    # Linked into place whole: a reader never meets a lock without its holder.
    draft = path.with_name(f".lock.{os.getpid()}.tmp")
    data = msgspec.json.encode(holder)
    try:
        draft.write_bytes(data)
        path.hardlink_to(draft)
    except (FileExistsError, FileNotFoundError):  # not found: who holds it swept the draft away with its leftovers
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        return _create_alone(path, data)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _create_alone(path: Path, data: bytes) -> bool:
    """Where the file system has no hard links, as exFAT."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def _read(path: Path) -> Holder | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Holder)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _stale(holder: Holder) -> bool:
    if holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return bool(holder.born) and holder.born != _born(holder.pid)


def _born(pid: int) -> str:
    """When the process began, or nothing where the system does not say."""
    try:
        # The second field, the name in brackets, may hold blanks.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
