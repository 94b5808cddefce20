"""One process per folder, of a run or of a dataset: a lock that says who holds it, and that a dead one cannot keep."""

import contextlib
import errno
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters.alive import born, lives, machine
from converters.errors import EnvironmentFault
from converters.files import Strict, digest

BEAT = 20.0  # seconds between two signs of life of a process that holds a lock
SILENCE = 180.0  # seconds without one after which a process of another machine counts as dead


class Holder(Strict):
    """Who works in a folder. Stays on this machine; no record, page or dataset holds it."""

    pid: int
    host: str
    since: str
    born: str = ""  # when the process began, in ticks since the start of the machine: pids are used again
    machine: str = ""  # its start and the namespace of its pids: hosts are cloned, restarted and put into containers
    beats: bool = False  # touches the lock every BEAT seconds; without, nobody on another machine can say if it lives
    mark: str = ""  # of this one lock: a process may ask twice for one folder within a second


class Held:
    """A lock that is held, and that shows signs of life meanwhile."""

    def __init__(self, path: Path, mine: Holder) -> None:
        self._path, self._mine = path, mine
        self._over, self._lost = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Take the folder, and show signs of life from now on.

        Raises:
            EnvironmentFault: another living process holds it.
        """
        _take(self._path, self._mine)
        threading.Thread(target=self._beat, daemon=True, name="lock").start()

    def check(self) -> None:
        """Whether the folder is still ours: to be asked before an end is written.

        Raises:
            EnvironmentFault: this process was silent for so long that another took the folder over.
        """
        if self._lost.is_set() or not self._ours():
            raise EnvironmentFault(
                f"the lock here is no longer that of this process, which was silent for {SILENCE:.0f} s or more",
                where=self._path.parent,
                mend="leave the folder to the process that took it over; bench sweep --status says how far it is",
            )

    def end(self) -> None:
        """Give the folder back, if it is still ours to give."""
        self._over.set()
        with contextlib.suppress(NotADirectoryError, PermissionError):  # it was never ours
            if self._ours():
                self._path.unlink(missing_ok=True)

    def _ours(self) -> bool:
        return _read(self._path) == self._mine

    def _beat(self) -> None:
        while not self._over.wait(BEAT):
            with contextlib.suppress(OSError):
                if not self._ours():
                    self._lost.set()
                    return
                os.utime(self._path)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[Held | None]:
    """Hold the folder for the length of the block. A folder that nobody may write to needs no lock, and gives None.

    Raises:
        EnvironmentFault: another living process holds it; names its pid, host and start.
    """
    held = Held(folder / "lock.json", _myself())
    try:  # from before it is taken: an interrupt may come between that and the block
        yield held if _begun(held, folder) else None
    finally:
        held.end()


def _begun(held: Held, folder: Path) -> bool:
    """Whether the lock is held now: not where nobody may write."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held.begin()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault("the disk is full", where=folder, mend="free some space") from None
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
        return False
    return True


def holder(folder: Path) -> Holder | None:
    """The living process that holds the folder, or None."""
    path = folder / "lock.json"
    found = _read(path)
    return None if found is None or _stale(found, path) else found


def _myself() -> Holder:
    pid, since = os.getpid(), time.strftime("%Y-%m-%d %H:%M:%S")
    return Holder(
        pid=pid,
        host=socket.gethostname(),
        since=since,
        born=born(pid),
        machine=machine(),
        beats=True,
        mark=uuid.uuid4().hex,
    )


def _take(path: Path, mine: Holder) -> None:
    if _create(path, mine):
        return
    found = _read(path)
    if found is not None and not _stale(found, path):
        raise EnvironmentFault(
            f"process {found.pid} on {found.host} has been at work here since {found.since}",
            where=path.parent,
            mend="wait for it, or stop it; the lock of a dead process is taken over by itself, that of another machine "
            f"{SILENCE:.0f} s after its last sign of life",
        )
    _succeed(path, found, mine)


def _succeed(path: Path, dead: Holder | None, mine: Holder) -> None:
    """Take the place of the dead, or of what is no lock. Of several who try at once one does: it is never empty."""
    guard = path.with_name(f".lock.{digest([path.name, dead])[:16]}.tmp")
    _take(guard, mine)  # whose holder may have died in turn
    try:
        # Only who holds the guard ends what the dead began, so this stays true until the next line.
        if _read(path) != dead or not _replace(path, mine):
            raise EnvironmentFault("another process has just started here", where=path.parent, mend="wait for it")
    finally:
        if _read(guard) == mine:
            guard.unlink(missing_ok=True)


def _replace(path: Path, mine: Holder) -> bool:
    draft = _beside(path, "tmp")
    try:
        if not path.is_file():  # somebody gave it back: it is anybody's
            return _create(path, mine)
        draft.write_bytes(msgspec.json.encode(mine))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return True


def _beside(path: Path, ending: str) -> Path:
    """A name that no other process has, of this machine or another that shares the folder."""
    return path.with_name(f".lock.{socket.gethostname()}.{os.getpid()}.{ending}")


def _create(path: Path, holder: Holder) -> bool:
    # Linked into place whole: a reader never meets a lock without its holder.
    draft = _beside(path, "tmp")
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


def _stale(holder: Holder, path: Path) -> bool:
    if holder.host == socket.gethostname() and holder.machine in ("", machine()):
        return not lives(holder.pid, holder.born)
    return holder.beats and _silent(path)


def _silent(path: Path) -> bool:
    """Whether the lock was last touched too long ago, by the clock of the disk it lies on: machines' clocks differ."""
    probe = _beside(path, "now.tmp")
    try:
        touched = path.stat().st_mtime
        probe.touch()
        return probe.stat().st_mtime - touched > SILENCE
    except FileNotFoundError:
        return True
    except OSError:  # a folder that may only be read: who cannot take it need not know
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
