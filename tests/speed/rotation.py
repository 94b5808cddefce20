"""Contenders that take turns: what else the machine does then slows all of them, and ratios stay what they are."""

import itertools
import time
from collections.abc import Callable, Mapping

import pytest


class Turns:
    """Seconds of each contender's turns, and what its last turn gave; one that cannot run has a reason instead."""

    def __init__(self, contenders: Mapping[str, Callable[[], Callable[[], object]]], rounds: int, warmup: int) -> None:
        self.seconds: dict[str, list[float]] = {}
        self.given: dict[str, object] = {}
        self.absent: dict[str, str] = {}
        ready: dict[str, Callable[[], object]] = {}
        for lap in range(warmup + rounds):
            for name, make in contenders.items():
                if name in self.absent:
                    continue
                try:
                    turn = ready[name] = ready.get(name) or make()
                    start = time.perf_counter()
                    self.given[name] = turn()
                except pytest.skip.Exception as reason:
                    self.absent[name] = str(reason)
                    continue
                if lap >= warmup:
                    self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    def enter(self, benchmark, name: str) -> object:
        """Hand the contender's seconds to pytest-benchmark; gives what its last turn gave."""
        if name in self.absent:
            pytest.skip(self.absent[name])
        ticks = itertools.chain.from_iterable((0.0, seconds) for seconds in self.seconds[name])
        benchmark._timer = lambda: next(ticks)
        benchmark.pedantic(lambda: None, rounds=len(self.seconds[name]))
        return self.given[name]
