"""Times between the ends of steps, counted in bins of 1 %: percentiles of any number of steps, at no cost to one."""

import collections
import math
import time
from collections.abc import Mapping

import torch

_RATIO = math.log(1.01)  # width of a bin
_PENDING = 512  # events held before those that have happened are counted


class Clock:
    """Counts the milliseconds from each tick to the next: bin -> how many.

    On a GPU a tick is an event on its stream. Events are read once they have happened, so that no tick waits for
    the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bins: collections.Counter[int] = collections.Counter()
        self._events: collections.deque[torch.cuda.Event] = collections.deque()
        self._last: float | None = None

    def tick(self) -> None:
        """A step has ended (on a GPU: has been handed over)."""
        if self.device.type == "cuda":
            event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(self.device))
            self._events.append(event)
            if len(self._events) > _PENDING:
                self.fold()
            return
        now = time.perf_counter()
        if self._last is not None:
            self.bins[_bin((now - self._last) * 1000)] += 1
        self._last = now

    def skip(self) -> None:
        """What passes until the next tick is no step; on a GPU, after a synchronisation."""
        self.fold()
        self._events.clear()
        self._last = None

    def fold(self) -> None:
        """Count the steps whose end the device has reached; after a synchronisation, all of them."""
        while len(self._events) > 1 and self._events[1].query():  # type: ignore[no-untyped-call]
            first = self._events.popleft()
            self.bins[_bin(first.elapsed_time(self._events[0]))] += 1


def merged(first: Mapping[int, int], second: Mapping[int, int]) -> dict[int, int]:
    """Both counts in one."""
    return {key: first.get(key, 0) + second.get(key, 0) for key in sorted({*first, *second})}


def percentiles(bins: Mapping[int, int]) -> dict[str, float]:
    """p50, p90 and p99 in ms, within half a percent, by nearest rank; nothing where nothing was counted."""
    total = sum(bins.values())
    return {f"p{share}": _rank(bins, math.ceil(total * share / 100)) for share in (50, 90, 99) if total}


def _rank(bins: Mapping[int, int], rank: int) -> float:
    seen = 0
    for key in sorted(bins):
        seen += bins[key]
        if seen >= rank:
            return float(f"{math.exp((key + 0.5) * _RATIO):.4g}")
    raise AssertionError(f"{rank} of {seen} steps")


def _bin(milliseconds: float) -> int:
    return math.floor(math.log(max(milliseconds, 1e-6)) / _RATIO)
