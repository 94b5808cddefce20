"""What became of a run -> its record."""

import dataclasses
from typing import TYPE_CHECKING, Literal

from baselines.config import plain
from bench.budget import budget
from bench.plan import Plan
from bench.selection import Selected, whole_budget
from converters.dataset import Dataset
from converters.files import digest, sha256
from leaderboards import facts
from leaderboards.record import CaseScore, Cost, Record

if TYPE_CHECKING:
    from baselines.train import Trained

Status = Literal["done", "failed", "skipped"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finished run brings into its record."""

    trained: "Trained"
    predict: Cost
    scores: tuple[CaseScore, ...]
    predictions: dict[str, str]  # case -> digest of its voxels
    selected: Selected | None = None  # None: the last step


def record(
    plan: Plan,
    seen: Dataset | None,
    *,
    status: Status,
    reason: str | None = None,
    outcome: Outcome | None = None,
) -> Record:
    """The record of a run, whatever became of it; `seen` is the view, None where there was none yet."""
    recipe = plan.recipe
    digests = {
        "dataset": plan.dataset.file.bench.content_sha256,
        "split": digest(plan.split),
        "recipe": plan.recipe_digest,
        "code": facts.code_sha256(),
    }
    if outcome is not None:
        each = {f"prediction:{case}": found for case, found in outcome.predictions.items()}
        weights = outcome.trained.model / "model.safetensors"
        digests |= each | {"predictions": digest(each), "model": sha256(weights.read_bytes())}
    if plan.others is not None:
        digests["unlabelled"] = plan.others.file.bench.content_sha256
    if seen is not None:
        digests["view"] = digest(seen.file)  # content and parent facts; the sidecars hold relative paths
    return Record(
        status=status,
        reason=reason,
        dataset=plan.dataset.name,
        split=plan.split.name,
        protocol=plan.protocol.name,
        draw=str(recipe.draw),
        method=recipe.train.method,
        seed=recipe.seed,
        fold=recipe.fold,
        selection=recipe.selection,
        task=recipe.task,
        annotator=_annotator(seen),
        recipe=plain(recipe),
        digests=digests,
        definitions=plan.definitions,
        code=facts.code_facts(),
        machine=facts.machine_facts() | (outcome.trained.machine if outcome else {}),
        budget=whole_budget(plan, budget(seen, plan.dataset)) if seen is not None else None,
        parameters=outcome.trained.parameters if outcome else 0,
        train=outcome.trained.cost if outcome else None,
        predict=outcome.predict if outcome else None,
        cases=outcome.scores if outcome else (),
        chosen=outcome.selected.chosen if outcome and outcome.selected else None,
        validation=outcome.selected.cost if outcome and outcome.selected else None,
    )


def _annotator(seen: Dataset | None) -> str:
    parent = seen.file.bench.parent if seen is not None else None
    return str(parent.protocol.get("annotator", "")) if parent is not None else ""
