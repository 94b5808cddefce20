"""One progress bar after another, for a story that tells its phases as it goes."""

import contextlib
from types import TracebackType

from bench.output import Advance, progress


class Phases:
    """Bars that open when a phase first reports and close when the next one does."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._phase = ""
        self._done = 0
        self._advance: Advance = _ignore

    def __enter__(self) -> "Phases":
        """Start without a bar."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the last bar."""
        self._stack.close()

    def tell(self, phase: str, done: int, total: int) -> None:
        """`done` of `total` items of this phase are finished."""
        if phase != self._phase:
            self._stack.close()
            self._advance = self._stack.enter_context(progress(phase, total))
            # A resumed phase starts where it stopped: its first report is no measure of speed.
            self._phase, self._done = phase, 0
        self._advance(done - self._done)
        self._done = done


def _ignore(items: int = 1, data: int = 0) -> None:
    """No phase has begun."""
