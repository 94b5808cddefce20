"""Which step's weights are tested: the last one, or the best on the validation subjects, whose labels then count."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bench.budget import budget
from bench.matching import with_dataset
from bench.plan import Plan
from bench.score import Structures, score_matches
from converters.errors import BenchError
from converters.files import write_bytes
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
        cost, dice[step] = _scored(plan, model, where)
        costs.append(cost)
        told(number, len(trained.snapshots))
    step = max(sorted(dice), key=lambda each: dice[each])
    write_bytes(trained.model / "model.safetensors", (trained.snapshots[step] / "model.safetensors").read_bytes())
    return Selected(Chosen(step=step, dice=dice), _together(costs))


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


def _scored(plan: Plan, model: Path, where: "Setting") -> tuple[Cost, float]:
    from baselines import predict

    out, problems = plan.folder / "validation", list[str]()
    try:
        cost = predict.predict(model, plan.dataset, plan.validation, out, where)
        matches, _ = with_dataset(out, plan.dataset, plan.validation)
        scores = score_matches(matches, Structures.of(plan.dataset), None, problems)
    finally:
        shutil.rmtree(out, ignore_errors=True)
    if problems:
        raise BenchError("; ".join(problems), where=model)
    summary = summarise([scores], DICE)
    return cost, summary.mean if summary is not None else 0.0


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
