"""Signals that end a command as Ctrl-C does."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def ending_on(*numbers: int) -> Iterator[None]:
    """For the length of the block these signals raise KeyboardInterrupt: locks are given back, temporaries removed.

    SIGINT is among them where a shell may have told its background processes to ignore it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
