"""For the length of a run, everything that it logs goes to its trackers; at its end, all that came of it."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.tracking import told
from bench.tracking.courier import Courier, Ending, Wanted
from bench.tracking.told import State
from leaderboards.record import Record

if TYPE_CHECKING:
    from bench.plan import Plan

PATIENCE = 30.0  # seconds that the end of a run waits for its trackers, all of them together
HASTE = 5.0  # where the run failed or was asked to stop, and for a tracker that has failed before


@contextlib.contextmanager
def followed(plan: "Plan", plugin: Path | None, track: Sequence[Wanted]) -> Iterator[None]:
    """Track what is done in the block. Without trackers nothing happens, and nothing is imported."""
    if not track:
        yield
        return
    from baselines.log import following

    for wanted in track:
        with contextlib.suppress(Exception):  # the courier meets it again, and says so
            wanted.load()  # here, not beside the training, whose speed is measured
    about = told.about(plan, _before(plan, plugin))
    couriers = [Courier(wanted, about) for wanted in track]

    def lines(log: Path, found: Sequence[bytes]) -> None:
        for courier in couriers:
            courier.tell(found, about.before.get(log.parent.name, 0))

    try:
        with following(lines):
            yield
    except BaseException as error:
        _end(couriers, plan, "failed" if isinstance(error, Exception) else "stopped")
        raise
    _end(couriers, plan, None)


def _before(plan: "Plan", plugin: Path | None) -> dict[str, int]:
    """Stage -> the steps of those before it; empty where the method has but one."""
    from baselines.method import find
    from baselines.stages import alone, steps_of

    recipe = plan.recipe.train
    with contextlib.suppress(Exception):  # the run meets it again, and leaves a record of it
        stages = find(recipe.method, plugin).stages
        steps = steps_of(stages, recipe.steps)
        if not alone(stages):
            return {stage.name: sum(steps[:number]) for number, stage in enumerate(stages)}
    return {}


def _end(couriers: Sequence[Courier], plan: "Plan", wrong: State | None) -> None:
    """Tell how it ended; `wrong` where it did not come to its end."""
    record = Record.load(plan.folder / "record.json") if wrong is None else None
    state: State = wrong or ("skipped" if record is not None and record.status == "skipped" else "done")
    for courier in couriers:
        courier.end(Ending(state, record, partial(told.pictures, plan, record)))
    until = time.monotonic() + (HASTE if wrong else PATIENCE)
    for courier in couriers:
        left = max(0.0, until - time.monotonic())
        courier.wait(left if courier.well else min(left, HASTE))
