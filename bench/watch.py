"""How far the runs of a sweep are, as a table that is kept up to date in a terminal."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.job import FINISHED
from bench.output import PLAIN_WIDTH, table

if TYPE_CHECKING:
    from rich.console import Console

    from bench.job import Job
    from bench.sweep import Standing

EVERY = 2.0  # seconds between two looks
COLUMNS = ("state", "dataset", "protocol", "method", "seed", "steps", "Dice", "folder, or reason")


def rows(standings: "Sequence[Standing]") -> list[list[str]]:
    """A line of cells for each run."""
    return [
        [
            found.state,
            found.dataset,
            found.protocol,
            found.method,
            str(found.seed),
            f"{found.steps}/{found.of}" if found.of else "",
            "" if found.dice is None else f"{found.dice:.4f}",
            found.reason or found.folder,
        ]
        for found in standings
    ]


def counted(standings: "Sequence[Standing]") -> str:
    """3 done, 1 running."""
    return ", ".join(f"{count} {state}" for state, count in Counter(found.state for found in standings).items())


def watch(jobs: "Sequence[Job]", console: "Console", every: float = EVERY) -> None:
    """Show the table until no run that can be made is left open. Only looks: Ctrl-C ends the looking and no run."""
    from rich.live import Live

    found = [job.standing() for job in jobs]
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            shown = table(COLUMNS, rows(found), title=counted(found), width=console.width or PLAIN_WIDTH)
            live.update(shown, refresh=True)
            if not any(_open(job, one) for job, one in zip(jobs, found, strict=True)):
                return
            time.sleep(every)
            # What is finished stays so: its record is read once.
            found = [one if one.state in FINISHED else job.standing() for job, one in zip(jobs, found, strict=True)]


def _open(job: "Job", found: "Standing") -> bool:
    return job.plan is not None and found.state not in (*FINISHED, "failed")
