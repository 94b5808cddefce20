"""How a `bench run` came to its end, and what is said of it; the signals that ask for one."""

import signal
from typing import NamedTuple

SHOWN = 6  # last lines of what a process said
STOPPED = 130  # the exit code of a run that was asked to stop and has saved a checkpoint


class End(NamedTuple):
    """The exit code, below zero for a signal and None where no process is left to give one, and the last words."""

    code: int | None
    said: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether the machine ended it and not the run itself: it may go on from its checkpoint elsewhere."""
        return self.code is None or self.code < 0 or self.code == STOPPED

    @property
    def told(self) -> str:
        """What a person is told; nothing where all went well."""
        if self.code == 0:
            return ""
        if self.code is not None and self.code < 0:
            return ": ".join(["killed by " + signal_name(-self.code), *filter(None, [self.said])])
        return self.said or f"exit code {self.code}"


def signal_name(number: int) -> str:
    """SIGKILL, where the system has a name for it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
