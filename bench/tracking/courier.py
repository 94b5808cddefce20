"""Hands what a run tells to a tracker, in a thread of its own: whatever becomes of that thread, the run goes on."""

import contextlib
import dataclasses
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from bench.output import say
from bench.tracking import told
from bench.tracking.told import About, Point, State, Tracker, Which
from leaderboards.record import Record

if TYPE_CHECKING:
    from PIL.Image import Image

ROOM = 1000  # batches of lines that wait for the tracker; a log has one line every tenth step
EVERY = 1.0  # seconds between two hand-overs: a request for each line would be many


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A tracker that was asked for."""

    name: str
    open: Callable[[About], Tracker]
    which: Which = "all"
    load: Callable[[], object] = lambda: None  # imports what `open` needs


@dataclasses.dataclass(frozen=True)
class Ending:
    """How a run ended."""

    state: State
    record: Record | None
    pictures: "Callable[[Which], Iterator[tuple[str, Image]]]"


class Courier:
    """One tracker, one run, one thread.

    What does not fit into the queue is dropped. At the end, whatever the log has and the tracker has not been handed is
    sent from there; a tracker that has failed is opened again for that, once.
    """

    def __init__(self, wanted: Wanted, about: About) -> None:
        self.dropped = 0  # lines
        self.well = True  # the last thing that was tried has not failed
        self._wanted, self._about = wanted, about
        self._waiting: queue.Queue[tuple[Sequence[bytes], int]] = queue.Queue(ROOM)
        self._sent: set[int] = set()
        self._tracker: Tracker | None = None
        self._ending: Ending | None = None
        self._over = threading.Event()
        self._said = False
        self._thread = threading.Thread(target=self._work, name=f"track {wanted.name}", daemon=True)
        self._thread.start()

    def tell(self, lines: Sequence[bytes], before: int) -> None:
        """Take lines of the log, whose steps come after so many others. Returns at once."""
        try:
            self._waiting.put_nowait((lines, before))
        except queue.Full:
            self.dropped += len(lines)

    def end(self, ending: Ending) -> None:
        """Ask for the end; returns at once."""
        self._ending = ending
        self._over.set()

    def wait(self, seconds: float) -> None:
        """Wait for the end so long, and say what is missing."""
        self._thread.join(seconds)
        late, name = self._thread.is_alive(), self._wanted.name
        if late:
            say(f"track {name}: it has not taken all in time and is left alone; the same command sends what it lacks")
        if self.dropped:
            known = "sent at the end, from log.jsonl" if self.well and not late else "in log.jsonl alone"
            say(f"track {name}: {self.dropped} lines of the log did not fit into its queue; {known}")

    def _work(self) -> None:
        self._tried(self._live)
        self._over.wait()
        self._tried(self._last)

    def _tried(self, part: Callable[[], None]) -> None:
        try:
            part()
        except BaseException as error:  # of a library of others: SystemExit, too
            self.well, self._tracker = False, None
            self._complain(error)
        else:
            self.well = True

    def _complain(self, error: BaseException) -> None:
        if not self._said:
            self._said = True
            lines = str(error).strip().splitlines() or [""]
            what = re.sub(r"//[^/@\s]+@", "//***@", f"{type(error).__name__}: {lines[0]}")  # a password in a URI
            say(f"track {self._wanted.name}: {what[:300]}; the run goes on, log.jsonl has it all")

    def _live(self) -> None:
        self._open()
        while not self._over.wait(EVERY):
            self._send(self._drained())

    def _last(self) -> None:
        ending = self._ending
        assert ending is not None
        tracker = self._tracker or self._open()
        self._send(self._drained())
        self._send([point for point in told.logged(self._about) if point.step not in self._sent])
        if ending.record is not None:
            tracker.series(told.chosen(ending.record))
            tracker.scores(told.scores(ending.record))
            for name, picture in ending.pictures(self._wanted.which):
                tracker.picture(name, picture)
        tracker.end(ending.state)

    def _open(self) -> Tracker:
        self._sent = set()
        self._tracker = self._wanted.open(self._about)
        return self._tracker

    def _drained(self) -> list[Point]:
        found: list[Point] = []
        with contextlib.suppress(queue.Empty):
            while True:
                found += told.points(*self._waiting.get_nowait())
        return found

    def _send(self, points: list[Point]) -> None:
        if points and self._tracker is not None:
            self._tracker.series(points)
            self._sent.update(point.step for point in points)
