"""Trackers that keep what they are told, raise or hang: `from trackers import Kept, place`."""

import threading
from functools import partial

from bench.run import Place
from bench.tracking import told
from bench.tracking.courier import Wanted

LONG = 60.0


class Kept:
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.opened: list[told.About] = []
        self.points: list[told.Point] = []
        self.final: dict[str, float] = {}
        self.pictures: dict[str, tuple[int, int]] = {}
        self.ends: list[str] = []

    def open(self, about):
        self.opened.append(about)
        return self

    def series(self, points):
        self.points += points

    def scores(self, scores):
        self.final = dict(scores)

    def picture(self, name, picture):
        self.pictures[name] = picture.size

    def end(self, state):
        self.ends.append(state)

    @property
    def values(self):
        return {(name, point.step): value for point in self.points for name, value in point.values.items()}


class Broken(Kept):
    """Raises wherever it is asked to do something."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__()
        self.where, self.error = where, error

    def __getattribute__(self, name):
        if name in ("open", "series", "scores", "picture", "end") and name == object.__getattribute__(self, "where"):
            raise object.__getattribute__(self, "error")
        return object.__getattribute__(self, name)


class Stuck(Kept):
    """Never comes back from one call, until the test lets it."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where, self.free, self.reached = where, threading.Event(), threading.Event()

    def open(self, about):
        self._at("open")
        return super().open(about)

    def series(self, points):
        self._at("series")
        super().series(points)

    def end(self, state):
        self._at("end")
        super().end(state)

    def _at(self, where):
        if where == self.where:
            self.reached.set()
            self.free.wait(LONG)


def call(tracker, name, about):
    return getattr(tracker, name)(about)


def place(*trackers, **more):
    wanted = [Wanted(f"fake{n}", partial(call, tracker, "open"), "all") for n, tracker in enumerate(trackers)]
    return Place(track=tuple(wanted), **more)


def wait_until(fact):
    for _ in range(3000):
        if fact():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to be")
