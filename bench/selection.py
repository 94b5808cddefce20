"""Which step's weights are tested: the last one, or the best on the validation subjects, whose labels then count.

Training sees no validation label either way: it saves models, and is told at most to end.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from bench.budget import budget
from bench.matching import Match, with_dataset
from bench.plan import Plan
from bench.score import Structures, score_matches
from converters.dataset import IGNORE
from converters.errors import BenchError
from converters.files import Strict, read_json, sha256, write_bytes, write_json
from converters.volume import read_label
from leaderboards.record import Budget, Chosen, Cost
from leaderboards.summary import summarise

if TYPE_CHECKING:
    from baselines.predict import Setting
    from baselines.train import Trained

DICE = "dice:v1"


class Selected(NamedTuple):
    """What was chosen, and what predicting the validation cases took, of all snapshots together."""

    chosen: Chosen
    cost: Cost


def best_val(plan: Plan, trained: "Trained", where: "Setting", told: Callable[[int, int], None]) -> Selected:
    """Put the snapshot of best mean Dice over the validation cases, of equals the first, in the place of the model.

    No test case is read. Label maps of validation cases are removed again.

    Raises:
        BenchError: a snapshot is absent, or a validation case cannot be predicted or scored.
    """
    dice, costs = {}, []
    for number, (step, model) in enumerate(sorted(trained.snapshots.items()), 1):
        look = _look(plan, model, where)
        costs.append(look.cost)
        dice[step] = look.dice
        told(number, len(trained.snapshots))
    return Selected(Chosen(step=_taken(trained, dice), dice=dice), _together(costs))


class Look(Strict):
    """What the validation cases said of a model."""

    model: str  # sha256 of its weights
    dice: float  # mean over labels of the mean over subjects
    accuracy: float  # share of the annotated voxels of all cases whose code is right
    cost: Cost


class Looks(Strict):
    """validation.json in a run's folder: after so many steps -> what was seen."""

    looks: dict[int, Look] = {}


class EarlyStop:
    """Looks at each snapshot as training saves it, and says when to end: the snapshots are steps of equal length.

    What was seen lies in `validation.json`: a run that goes on takes no look twice unless the weights are others.
    """

    def __init__(self, plan: Plan, where: "Setting") -> None:
        self._plan, self._where = plan, where
        self._file = plan.folder / "validation.json"
        self._looks = dict(read_json(self._file, Looks).looks) if self._file.is_file() else {}

    def __call__(self, step: int, model: Path) -> bool:
        """Whether training is to end at this step: `patience` looks in a row were no better than the best before."""
        weights = sha256((model / "model.safetensors").read_bytes())
        if step not in self._looks or self._looks[step].model != weights:
            self._looks[step] = _look(self._plan, model, self._where)
            write_json(self._file, Looks(looks=self._looks))
        return exhausted([self._looks[each].dice for each in self._until(step)], self._plan.recipe.patience)

    def selected(self, trained: "Trained") -> Selected:
        """Put the snapshot of best mean Dice, of equals the first, in the place of the model."""
        reached = self._until(max(step for step, model in trained.snapshots.items() if model.is_dir()))
        dice = {step: self._looks[step].dice for step in reached}
        accuracy = {step: self._looks[step].accuracy for step in reached}
        chosen = Chosen(step=_taken(trained, dice), dice=dice, accuracy=accuracy)
        return Selected(chosen, _together([self._looks[step].cost for step in reached]))

    def _until(self, step: int) -> list[int]:
        return [each for each in sorted(self._looks) if each <= step]


def exhausted(dice: Sequence[float], patience: int) -> bool:
    """Whether the last `patience` values are all no better than the best before them."""
    return len(dice) > patience and max(dice[-patience:]) <= max(dice[:-patience])


def _taken(trained: "Trained", dice: dict[int, float]) -> int:
    step = max(sorted(dice), key=lambda each: dice[each])
    write_bytes(trained.model / "model.safetensors", (trained.snapshots[step] / "model.safetensors").read_bytes())
    return step


def whole_budget(plan: Plan, seen: Budget) -> Budget:
    """What training saw and, where a step was selected, what the validation labels cost."""
    if plan.recipe.selection == "last":
        return seen
    cases = tuple(plan.validation)
    looked = budget(plan.dataset.only(tuple({case.subject for case in cases})), plan.dataset)
    both = {
        field: getattr(seen, field) + getattr(looked, field)
        for field in ("labelled_subjects", "labelled_cases", "annotated_voxels", "annotated_slices")
    }
    minutes = None if seen.minutes is None or looked.minutes is None else round(seen.minutes + looked.minutes, 2)
    return msgspec.structs.replace(seen, **both, minutes=minutes, validation_subjects=looked.labelled_subjects)


def _look(plan: Plan, model: Path, where: "Setting") -> Look:
    from baselines import predict

    out, problems = plan.folder / "validation", list[str]()
    try:
        cost = predict.predict(model, plan.dataset, plan.validation, out, where)
        matches, _ = with_dataset(out, plan.dataset, plan.validation)
        scores = score_matches(matches, Structures.of(plan.dataset), None, problems)
        accuracy = _accuracy(matches) if not problems else 0.0
    finally:
        shutil.rmtree(out, ignore_errors=True)
    if problems:
        raise BenchError("; ".join(problems), where=model)
    summary = summarise([scores], DICE)
    return Look(
        model=sha256((model / "model.safetensors").read_bytes()),
        dice=summary.mean if summary is not None else 0.0,
        accuracy=accuracy,
        cost=cost,
    )


def _accuracy(matches: Sequence[Match]) -> float:
    """Share of the annotated voxels of all cases that got the code of the reference."""
    right = annotated = 0
    for match in matches:
        assert match.prediction is not None  # it was written just now
        reference, found = read_label(match.reference).array, read_label(match.prediction).array
        right += int(np.count_nonzero((found == reference) & (reference != IGNORE)))
        annotated += int(np.count_nonzero(reference != IGNORE))
    return right / max(annotated, 1)


def _together(costs: Sequence[Cost]) -> Cost:
    seconds, items = sum(cost.seconds for cost in costs), sum(cost.items for cost in costs)
    device = [cost.peak_device_mib for cost in costs if cost.peak_device_mib is not None]
    return Cost(
        seconds=round(seconds, 3),
        items=items,
        items_per_s=round(items / max(seconds, 1e-9), 3),
        peak_host_mib=max(cost.peak_host_mib for cost in costs),
        peak_device_mib=max(device) if device else None,
        batch=costs[-1].batch,
        precision=costs[-1].precision,
        segments=1,
    )
