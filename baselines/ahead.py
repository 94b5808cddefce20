"""What is made a little before it is asked for, in a thread whose errors and silences name what it was at."""

import collections
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import TypeVar

from converters.errors import EnvironmentFault

Key = TypeVar("Key")
Made = TypeVar("Made")

PATIENCE = 600.0  # seconds that one thing may take: a disk that no longer answers keeps its reader for ever
_LEAVE = 10.0  # seconds in which a thread that is no longer needed should end; it holds up nothing if it does not


class _Ahead(threading.Thread):
    """Makes one thing after the other."""

    def __init__(self) -> None:
        super().__init__(name="ahead", daemon=True)
        self.at = ""
        self.asked: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        while (make := self.asked.get()) is not None:
            make()


def at(what: str) -> None:
    """Say what this thread is at: its error, or its silence, is told with it."""
    thread = threading.current_thread()
    if isinstance(thread, _Ahead):
        thread.at = what


def prefetch(make: Callable[[Key], Made], keys: Iterable[Key], ahead: int = 2) -> Iterator[Made]:
    """What `make` gives for each key, made up to `ahead` keys before it is asked for, in one thread.

    Raises:
        EnvironmentFault: nothing came for PATIENCE seconds; says what the thread was at.
        Exception: an error in the thread, as itself, with a note of what the thread was at.
    """
    thread = _Ahead()
    made: collections.deque[Future[Made]] = collections.deque()
    try:
        for key in keys:
            made.append(_ask(thread, make, key))
            if len(made) > ahead:
                yield _answer(thread, made.popleft())
        while made:
            yield _answer(thread, made.popleft())
    finally:
        for future in made:
            future.cancel()
        thread.asked.put(None)
        thread.join(_LEAVE)


def _ask(thread: _Ahead, make: Callable[[Key], Made], key: Key) -> Future[Made]:
    future: Future[Made] = Future()

    def work() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(make(key))
        except BaseException as error:
            if thread.at:
                error.add_note(f"at {thread.at}")
            future.set_exception(error)

    thread.asked.put(work)
    return future


def _answer(thread: _Ahead, future: Future[Made]) -> Made:
    try:
        return future.result(PATIENCE)
    except TimeoutError:
        if future.done():  # it was the thread's own
            raise
        raise EnvironmentFault(
            f"nothing was read for {PATIENCE:.0f} s",
            where=thread.at or None,
            mend="see whether the disk of the data and that of the cache (BENCH_CACHE) answer, and repeat the command",
        ) from None
