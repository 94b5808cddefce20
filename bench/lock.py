"""One process per run folder: a lock that says who holds it, and that a dead holder cannot keep."""

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters.errors import EnvironmentFault
from converters.files import Strict


class Holder(Strict):
    """Who works in a run folder. Stays on this machine; no record or page holds it."""

    pid: int
    host: str
    since: str


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the length of the block.

    Raises:
        EnvironmentFault: another living process holds it; names its pid, host and start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "lock.json"
    mine = Holder(pid=os.getpid(), host=socket.gethostname(), since=time.strftime("%Y-%m-%d %H:%M:%S"))
    if not _create(path, mine):
        holder = _read(path)
        if holder is not None and not _stale(holder):
            raise EnvironmentFault(
                f"process {holder.pid} on {holder.host} has been at this run since {holder.since}",
                where=folder,
                mend="wait for it, or stop it; a lock left by a dead process on this machine is taken over by itself",
            )
        path.unlink(missing_ok=True)
        if not _create(path, mine):
            raise EnvironmentFault("another process has just started on this run", where=folder, mend="wait for it")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _create(path: Path, holder: Holder) -> bool:
    # Linked into place whole: a reader never meets a lock without its holder.
    draft = path.with_name(f".lock.{os.getpid()}.tmp")
    draft.write_bytes(msgspec.json.encode(holder))
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
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
    return False
