"""The same work in several processes, for thousands of records: each inherits what is in memory, answers come back."""

import contextlib
import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TypeVar, cast

from converters.errors import EnvironmentFault

Answer = TypeVar("Answer")
Answered = tuple[int, Answer | BaseException]

LEAST = 1000  # records from which it pays
_MOST = 8  # processes: what they touch of the memory becomes their own


def jobs(records: int) -> int:
    """How many processes are worth it: one where records are few, or nothing can be forked."""
    can = "fork" in multiprocessing.get_all_start_methods() and not multiprocessing.current_process().daemon
    # A thread may hold a lock that nobody would ever open in the other process.
    if records < LEAST or not can or threading.active_count() > 1:
        return 1
    return min(_MOST, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def each(work: Callable[[int], Answer], count: int, processes: int) -> Iterator[tuple[int, Answer]]:
    """(number, answer) for 0, 1 ... count - 1, in any order; process n does each number that leaves n over.

    Processes are started at once, before the first answer is asked for; answers must be picklable.

    Raises:
        EnvironmentFault: a process was ended from outside.
        Exception: what `work` raised.
    """
    if min(processes, count) <= 1:
        return ((number, work(number)) for number in range(count))
    gc.freeze()  # what is there stays where it is, in memory that the processes share
    started = [_start(work, range(first, count, processes)) for first in range(processes)]
    return _answers(started, count)


def _start(work: Callable[[int], Answer], numbers: Sequence[int]) -> tuple[Connection, multiprocessing.Process]:
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=_serve, args=(far, work, numbers), daemon=True)
    process.start()
    far.close()
    return near, cast(multiprocessing.Process, process)


def _serve(pipe: Connection, work: Callable[[int], Answer], numbers: Sequence[int]) -> None:
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):  # the parent speaks, or is gone
        for number in numbers:
            try:
                answer: Answered[Answer] = number, work(number)
            except Exception as error:
                answer = number, error
            pipe.send(answer)


def _answers(started: Sequence[tuple[Connection, multiprocessing.Process]], count: int) -> Iterator[tuple[int, Answer]]:
    open_ = dict(started)
    left = count
    try:
        while open_:
            for ready in wait([*open_]):
                pipe = cast(Connection, ready)
                try:
                    number, answer = pipe.recv()
                except EOFError:
                    open_.pop(pipe).join()
                    continue
                if isinstance(answer, BaseException):
                    raise answer
                left -= 1
                yield number, answer
    finally:
        gc.unfreeze()
        for process in open_.values():
            process.terminate()
    if left:
        raise EnvironmentFault("a process that made part of it was ended", mend="repeat it; see whether memory ran out")
