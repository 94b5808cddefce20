"""Runs on machines that may go away: what was cut off is tried again, and goes on from its checkpoint."""

import collections
import itertools
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from bench.executors.ends import End
from bench.signals import ending_on

Key = TypeVar("Key")
Key_contra = TypeVar("Key_contra", contravariant=True)
Handle = TypeVar("Handle")


class Machines(Protocol[Handle]):
    """What runs command lines somewhere: a cluster."""

    look_every: float  # seconds between two looks

    def submit(self, lines: Sequence[Sequence[str]]) -> list[Handle]:
        """Hand in the arguments of so many `bench run`; a handle each."""

    def end(self, handle: Handle) -> End | None:
        """How it ended, or None while it waits or works."""

    def stop(self, handles: Sequence[Handle]) -> None:
        """Take back what waits, ask what works for a checkpoint, and wait for it."""


class Told(Protocol[Key_contra]):
    """Hears of what becomes of the runs."""

    def ended(self, key: Key_contra, end: End) -> None:
        """It came to an end, or was cut off for the last time."""

    def again(self, key: Key_contra, end: End, number: int) -> None:
        """It was cut off, and is tried again for the so-manieth time."""


class Attempts(Generic[Key, Handle]):
    """Hands out runs, so many at a time, and again those that were cut off, at most `retries` times each."""

    def __init__(self, machines: Machines[Handle], told: Told[Key], retries: int, limit: int | None = None) -> None:
        self._machines, self._told, self._retries, self._limit = machines, told, retries, limit
        self._at_work: dict[Key, Handle] = {}
        self._tries: collections.Counter[Key] = collections.Counter()

    def run(self, lines: Mapping[Key, Sequence[str]], free: Callable[[Key], bool]) -> None:
        """Hand out all in their order and wait for the last one.

        Nothing is handed out while a living process holds its folder, as one does that is not dead yet, or that of a
        machine whose death has not shown yet.

        Raises:
            KeyboardInterrupt: asked to stop: no further one was handed out, and those at work were asked to save a
                checkpoint.
        """
        waiting = list(lines)
        with ending_on(signal.SIGINT, signal.SIGTERM):
            try:
                while waiting or self._at_work:
                    room = len(waiting) if self._limit is None else self._limit - len(self._at_work)
                    ready = list(itertools.islice((key for key in waiting if free(key)), room))
                    if ready:
                        handles = self._machines.submit([lines[key] for key in ready])
                        self._at_work.update(zip(ready, handles, strict=True))
                        waiting = [key for key in waiting if key not in self._at_work]
                    time.sleep(self._machines.look_every)
                    waiting = self._look() + waiting  # what is half done first
            except KeyboardInterrupt:
                self._machines.stop(list(self._at_work.values()))
                raise

    def _look(self) -> list[Key]:
        """Those that were cut off and have a try left."""
        again = []
        for key, handle in list(self._at_work.items()):
            end = self._machines.end(handle)
            if end is None:
                continue
            del self._at_work[key]
            if end.cut_off and self._tries[key] < self._retries:
                self._tries[key] += 1
                self._told.again(key, end, self._tries[key])
                again.append(key)
            else:
                self._told.ended(key, end)
        return again
