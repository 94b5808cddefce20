"""What one score of a task without label maps must keep: no counts, and values that follow from one another."""

import math
from collections.abc import Iterator, Mapping

from leaderboards import tasks
from leaderboards.record import Budget, CaseScore, Record
from leaderboards.summary import definitions, family

LABELS = "labels"
ROUNDING = 1e-6
_EVERY = {  # of what each score with this metric has a value, too
    "accuracy": {"accuracy", "truth", "probability", "constant_accuracy"},
    "absolute_error": {"absolute_error", "error", "truth", "constant_absolute_error"},
    "psnr_db": {"psnr_db", "ssim"},
}


def of_labels(record: Record) -> bool:
    """Whether label maps are scored: then counts say what happened."""
    return record.task == LABELS


def miscounted(score: CaseScore) -> str | None:
    """What does not fit in the part of a score that is about voxels."""
    if score.tp or score.fp or score.fn or score.ignored or not score.diagonal_mm > 0:
        return "voxel counts, or no image diagonal"
    return None if score.status in {"ok", "invalid"} else f"status '{score.status}'"


def unpaid(budget: Budget) -> Iterator[str]:
    """What a budget cannot say where nobody drew anything."""
    if budget.annotated_voxels or budget.annotated_slices or budget.labelled_cases < budget.labelled_subjects:
        yield "annotated voxels, or fewer cases than subjects, in a task without label maps"


def contradictions(record: Record) -> Iterator[str]:
    """Values of a case that do not follow from one another, or are not there."""
    kinds = {family(definition) for definition in definitions(record.cases)}
    wanted = next((every for kind, every in _EVERY.items() if kind in kinds), None)
    if wanted is None:
        yield f"no metric of task '{record.task}'"
        return
    for score in record.cases:
        values = {_kind(definition): value for definition, value in score.metrics.items()}
        if lacking := sorted(kind for kind in wanted if score.status == "ok" and values.get(kind) is None):
            yield f"case {score.case}, {score.label}: no value of {', '.join(lacking)}"
        elif score.status == "ok" and (sentence := _error(values)):
            yield f"case {score.case}, {score.label}: {sentence}"
        elif score.status == "invalid" and any(values.get(kind) is not None for kind in _predicted(wanted)):
            yield f"case {score.case}, {score.label}: a value of a prediction that is not valid"
    yield from _classes(record) if "accuracy" in wanted else ()


def _kind(definition: str) -> str:
    """As `family`, and `truth` of `truth_years:v1`, too, which is no share."""
    return "truth" if definition.startswith("truth_") else family(definition)


def _predicted(wanted: set[str]) -> set[str]:
    """Those that a prediction is needed for."""
    return wanted - {"truth", "constant_accuracy", "constant_absolute_error"}


def _error(values: Mapping[str, float | None]) -> str | None:
    size, signed = values.get("absolute_error"), values.get("error")
    if size is None or signed is None or math.isclose(size, abs(signed), rel_tol=ROUNDING, abs_tol=ROUNDING):
        return None
    return f"an error of {signed} that is {size} in size"


def _classes(record: Record) -> Iterator[str]:
    """A case is of one class, its probabilities add up to 1, and it is right or wrong under every class alike."""
    cases: dict[str, list[CaseScore]] = {}
    for score in record.cases:
        cases.setdefault(score.case, []).append(score)
    for case, scores in cases.items():
        truth = [score.metrics.get(tasks.TRUTH) for score in scores]
        if sorted(value or 0.0 for value in truth) != [0.0] * (len(truth) - 1) + [1.0]:
            yield f"case {case}: not of one class"
        if len({(s.metrics.get(tasks.ACCURACY), s.metrics.get(tasks.GUESSED)) for s in scores}) > 1:
            yield f"case {case}: right under one class and wrong under another"
        total = math.fsum(score.metrics.get(tasks.PROBABILITY) or 0.0 for score in scores)
        if scores[0].status == "ok" and abs(total - 1) > tasks.SUM:
            yield f"case {case}: probabilities add up to {total:.6f}"
