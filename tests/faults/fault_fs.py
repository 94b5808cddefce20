"""A disk that fails, or a process that is killed, in the n-th write, flush, replace, link or mkdir below a folder.

`with faulty(root, 3) as disk:` fails the third; `disk.done` says what was asked of it. Without a number it only counts.
A write that fails has written half of what it was given, as a full disk does.
"""

import builtins
import contextlib
import errno
import io
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)


class Disk:
    """What is asked of the file system below a folder, in order, and which of it fails."""

    def __init__(self, root: Path, number: int | None, for_good: bool, kills: bool) -> None:
        self.root, self.number, self.for_good, self.kills = root.resolve(), number, for_good, kills
        self.done: list[str] = []
        self.failed = 0
        self._lock = threading.Lock()

    def asked(self, what: str, path: object) -> None:
        """Count an operation; raise where it is one that fails."""
        here = Path(os.fsdecode(path)) if isinstance(path, str | bytes | os.PathLike) else None
        if here is None or not here.absolute().is_relative_to(self.root):
            return
        with self._lock:
            self.done.append(f"{what} {here.absolute().relative_to(self.root)}")
            number = len(self.done)
            fails = number == self.number or (self.for_good and self.number is not None and number > self.number)
            self.failed += fails
        if fails:
            if self.kills and what != "write":
                os.kill(os.getpid(), signal.SIGKILL)
            error = ERRORS[(self.number or 0) % len(ERRORS)]
            raise OSError(error, os.strerror(error), str(here))


class _File:
    """A file opened for writing whose writes and flushes are counted."""

    def __init__(self, file: Any, path: object, disk: Disk) -> None:
        self._file, self._path, self._disk = file, path, disk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_File":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)

    def write(self, data: Any) -> int:
        try:
            self._disk.asked("write", self._path)
        except OSError:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            if self._disk.kills:
                os.kill(os.getpid(), signal.SIGKILL)
            raise
        return int(self._file.write(data))

    def flush(self) -> None:
        self._disk.asked("flush", self._path)
        self._file.flush()


@contextlib.contextmanager
def faulty(root: Path, number: int | None = None, *, for_good: bool = False, kills: bool = False) -> Iterator[Disk]:
    """For the length of the block the number-th operation below `root` fails, alone or with all that follow.

    With `kills` it is the end of the process, in the middle of a write where it is one.
    """
    disk, opened, fsync = Disk(root, number, for_good, kills), io.open, os.fsync

    def open_(file: Any, mode: str = "r", *more: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+"):
            return opened(file, mode, *more, **named)
        disk.asked("open", file)
        return _File(opened(file, mode, *more, **named), file, disk)

    def fsync_(handle: int) -> None:
        disk.asked("fsync", Path(f"/proc/self/fd/{handle}").readlink())
        fsync(handle)

    def of_target(what: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*given: Any, **named: Any) -> None:
            disk.asked(what, given[1] if len(given) > 1 and what != "mkdir" else given[0])
            real(*given, **named)

        return call

    with contextlib.ExitStack() as stack:
        for owner, name, made in (
            (io, "open", open_),
            (builtins, "open", open_),
            (os, "fsync", fsync_),
            *((os, name, of_target(name, getattr(os, name))) for name in ("replace", "rename", "link", "mkdir")),
        ):
            stack.enter_context(mock.patch.object(owner, name, made))
        yield disk


def every(root: Path, act: Callable[[], object], step: int = 1) -> Iterator[tuple[int, bool, Callable[[], Disk]]]:
    """(number, for good, what does `act` on such a disk and swallows its fault) for each operation of `act`.

    `act` is done once, to count; the caller puts things back before each time. With a step only every step-th is taken,
    once and for good in turn.
    """
    with faulty(root) as counted:
        act()
    for number in range(1, len(counted.done) + 1, step):
        for for_good in (False, True) if step == 1 else (bool(number // step % 2),):

            def attempt(number: int = number, for_good: bool = for_good) -> Disk:
                with faulty(root, number, for_good=for_good) as disk:
                    try:
                        act()
                    except Exception as error:
                        told = [error, error.__cause__, error.__context__]
                        assert any(isinstance(each, OSError) or hasattr(each, "exit_code") for each in told), error
                return disk

            yield number, for_good, attempt
