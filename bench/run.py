"""recipe -> record: the whole story on one page."""

import contextlib
import dataclasses
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.outcome import Outcome, record
from bench.plan import Plan
from bench.tracking.courier import Wanted
from bench.tracking.follow import followed
from bench.views import view
from converters.errors import BenchError, EnvironmentFault, reason
from converters.lock import locked
from leaderboards.record import Record

Progress = Callable[[str, int, int], None]  # phase, done, total


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run happens, beside what decides its numbers."""

    device: str = "cpu"
    plugin: Path | None = None
    cache: Path | None = None  # folder of packs; None: prepared cases are held in memory
    progress: Progress = lambda phase, done, total: None
    track: tuple[Wanted, ...] = ()  # who is told how it goes; no number depends on it


def run(plan: Plan, place: Place) -> Record:
    """View, train, select, predict, score, record. A finished run is given back as it is; an interrupted one continues.

    Raises:
        EnvironmentFault: another process is at this run.
        BenchError: something failed; `failed-<n>.json` says what, and the next call tries again.
    """
    done = plan.folder / "record.json"
    with locked(plan.folder) as held, followed(plan, place.plugin, place.track):
        if done.is_file():
            _tell_ranks(0)
            return Record.load(done)
        _sweep(plan.folder)
        try:
            outcome = _carry_out(plan, place)
        except Exception as error:
            if held is not None:
                held.check()
            _failed(plan, error)
            raise
        if held is not None:
            held.check()  # two that each take the other for dead must not both come to an end
        outcome.save(done)
        shutil.rmtree(plan.folder / "model" / "snapshots", ignore_errors=True)
        return outcome


def _tell_ranks(number: int) -> None:
    """Other ranks, if there are any, learn whether there is something to train: see `bench.ranks.follow`."""
    from baselines import ranks

    ranks.told(number)


def _sweep(folder: Path) -> None:
    """Take away what a process that was killed had not finished writing."""
    for leftover in list(folder.rglob(".*.tmp")):
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)


def _carry_out(plan: Plan, place: Place) -> Record:
    from baselines import predict, train
    from bench.scorer import Scorer
    from bench.selection import EarlyStop, best_val

    recipe, folder = plan.recipe, plan.folder
    shown = folder / "view"
    seen = view(plan.dataset, plan.split, plan.protocol, recipe.draw, shown, others=plan.others, task=recipe.task)
    _tell_ranks(1)
    told = place.progress
    where = predict.Setting(place.device, place.plugin, None, recipe.predict)
    stop = EarlyStop(plan, where) if recipe.selection == "early_stop" else None
    try:
        setting = train.Setting(
            recipe.seed, place.device, place.plugin, place.cache, lambda i, n: told("train", i, n), stop
        )
        trained = train.train(seen, recipe.train, folder / "model", setting, recipe.task)
    except train.RefusedError as error:
        return record(plan, seen, status="skipped", reason="; ".join(filter(None, (error.what, error.mend))))
    if place.track:  # its time and memory are part of what was measured
        told_to = {"tracked": " ".join(sorted({wanted.name for wanted in place.track}))}
        trained = dataclasses.replace(trained, machine=trained.machine | told_to)
    selected = stop.selected(trained) if stop is not None else None
    if recipe.selection == "best_val":
        selected = best_val(plan, trained, where, lambda i, n: told("select", i, n))
    # Predictions are made and scored afresh each time: half a folder from an interrupted run is written over.
    where = dataclasses.replace(where, progress=lambda i, n: told("predict", i, n))
    cost = predict.predict(trained.model, plan.dataset, plan.test, folder / "predictions", where)
    scorer = Scorer.of(plan)
    matches = scorer.matches(folder / "predictions", plan.test)
    done = itertools.count(1)

    def scored(_: int) -> None:
        told("score", next(done), len(matches))

    problems: list[str] = []
    scores = scorer.score(matches, scored, problems)
    if problems:
        raise BenchError("; ".join(problems), where=folder / "predictions")
    outcome = Outcome(trained, cost, scores, scorer.digests(matches), selected)
    return record(plan, seen, status="done", outcome=outcome)


def _failed(plan: Plan, error: Exception) -> None:
    """Leave a record of the failure; it never enters a table, and the run is tried again."""
    number = len(list(plan.folder.glob("failed-*.json"))) + 1
    with contextlib.suppress(OSError, EnvironmentFault):  # of a full disk, say: the error itself counts
        record(plan, None, status="failed", reason=reason(error)).save(plan.folder / f"failed-{number}.json")
