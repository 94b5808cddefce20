"""Cases in worker processes: one that fails, or takes its process down, is named, and the others go on."""

import contextlib
import errno
import itertools
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TypeVar, cast

from converters.errors import BenchError, EnvironmentFault

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int
) -> Iterator[tuple[int, Result | BenchError]]:
    """(index, result or error) of every item as it ends, `jobs` at a time; function and items can be pickled.

    With one job everything runs in this process.
    """
    if jobs <= 1 or len(items) <= 1:
        yield from ((index, _attempt(function, item)) for index, item in enumerate(items))
        return
    context = _context(function.__module__)
    left = iter(enumerate(items))
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    try:
        for index, item in itertools.islice(left, jobs):
            _hand_over(running, _start(context, function), index, item)
        while running:
            for ready in wait(list(running)):
                pipe = cast(Connection, ready)
                index, process = running.pop(pipe)
                result, alive = _collect(pipe, process)
                yield index, result
                following = next(left, None)
                if following is not None:
                    _hand_over(running, (pipe, process) if alive else _start(context, function), *following)
                elif alive:
                    pipe.close()
    finally:
        for _, process in running.values():
            process.terminate()


def alone(function: Callable[[Item], Result], item: Item) -> Result:
    """The result of one item from a fresh process, so that its peak of memory is that of this item.

    Raises:
        BenchError: what the function raised, or that its process was ended.
    """
    context = multiprocessing.get_context("spawn")
    running: dict[Connection, tuple[int, BaseProcess]] = {}
    result: Result | BenchError
    pipe, process = _start(context, function)
    try:
        _hand_over(running, (pipe, process), 0, item)
        result, _ = _collect(pipe, process)
    finally:
        process.terminate()
        process.join()
        pipe.close()
    if isinstance(result, BenchError):
        raise result
    return result


def _context(module: str) -> BaseContext:
    """Processes forked from a server that has imported `module`: not from here, where a progress bar holds locks."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", module])
    return context


@contextlib.contextmanager
def _safe_path() -> Iterator[None]:
    """Python starts the server with `-c`, which would take a file `signal.py` of the current folder for the library's.

    Whoever calls us keeps the environment it has.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _start(context: BaseContext, function: Callable[[Item], Result]) -> tuple[Connection, BaseProcess]:
    near, far = context.Pipe()
    process: BaseProcess = context.Process(target=_serve, args=(far, function), daemon=True)  # type: ignore[attr-defined]
    with _safe_path():
        process.start()
    far.close()
    return near, process


def _hand_over(
    running: dict[Connection, tuple[int, BaseProcess]],
    worker: tuple[Connection, BaseProcess],
    index: int,
    item: object,
) -> None:
    pipe, process = worker
    running[pipe] = index, process
    with contextlib.suppress(BrokenPipeError):  # it died while idle: collecting says so
        pipe.send(item)


def _serve(pipe: Connection, function: Callable[[Item], Result]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # An interrupt reaches the parent too, which speaks; the end of the pipe means there is no more to do.
    with contextlib.suppress(KeyboardInterrupt, EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_attempt(function, pipe.recv()))


def _end_with_parent() -> None:
    """Leave at once, in the middle of a case, when the parent is gone: its next run may be at the same files."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _collect(pipe: Connection, process: BaseProcess) -> tuple[Result | BenchError, bool]:
    """What the worker made of its item, and whether it lives on."""
    try:
        return pipe.recv(), True
    except (EOFError, ConnectionResetError):
        pipe.close()
        process.join()
        code = process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
        return EnvironmentFault(f"its worker process ended {how}", mend="run fewer jobs if memory ran out"), False


def _attempt(function: Callable[[Item], Result], item: Item) -> Result | BenchError:
    try:
        return function(item)
    except BenchError as error:
        return error
    except FileNotFoundError as error:
        return BenchError("there is no such file", where=error.filename, mend="restore it from the download")
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return EnvironmentFault("the disk is full", where=error.filename, mend="free some space and convert again")
        return EnvironmentFault(error.strerror or _place(error), where=error.filename)
    except Exception as error:  # a library's own error on a damaged file must not end the other cases
        return BenchError(_place(error), mend="the file may be damaged: get it again from its source")


def _place(error: Exception) -> str:
    """Kind of the error and the line it rose from. Its words are left out: libraries quote values, names among them."""
    line = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(line.filename).name}:{line.lineno}"
