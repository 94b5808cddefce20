"""Score predicted values, a class or a number for each case: `<case>.json` -> scores. `docs/tasks.md` has the rules."""

import math
from collections.abc import Sequence

from bench import task_metrics
from bench.matching import Match
from bench.task_asked import Asked, Measure, Measured, labels_of
from converters.dataset import Case, Dataset
from converters.errors import BenchError, what_of
from converters.files import Strict, read_json
from leaderboards.tasks import SUM


class Said(Strict):
    """What is predicted of one case, `<case>.json`."""

    task: str
    value: str | float
    probabilities: dict[str, float] = {}  # of every class; empty where the value is a number


def values(dataset: Dataset, asked: Asked) -> Measure:
    """Scores a case by the value that is predicted for it.

    Raises:
        BenchError: nobody whose value is known trained.
    """
    field, unit = asked.task.field, asked.task.unit
    seen = [case.meta[field] for case in dataset.only(asked.visible).cases if field in case.meta]
    if not seen:
        raise BenchError(f"no training subject has {field}", where=dataset.root)
    if asked.task.kind == "number":
        constant = task_metrics.median([float(value) for value in seen])

        def number(match: Match, case: Case) -> Measured:
            said, fault = _valid(match, asked, ())
            predicted = None if said is None else float(said.value)
            truth = float(case.meta[field])
            return Measured({field: task_metrics.of_number(truth, constant, unit, predicted)}, fault)

        return number
    classes = labels_of(dataset, asked)
    guess = task_metrics.most_frequent(map(str, seen))

    def sorted_out(match: Match, case: Case) -> Measured:
        said, fault = _valid(match, asked, classes)
        predicted = None if said is None else (str(said.value), said.probabilities)
        truth = str(case.meta[field])
        return Measured({label: task_metrics.of_class(truth, label, guess, predicted) for label in classes}, fault)

    return sorted_out


def _valid(match: Match, asked: Asked, classes: Sequence[str]) -> tuple[Said | None, str]:
    """The prediction, or None and what is wrong with it."""
    try:
        said = read_value(match)
    except (BenchError, OSError) as error:
        return None, what_of(error)
    fault = f"of task '{said.task}'" if said.task != asked.name else _fault(said, classes)
    return (None, fault) if fault else (said, "")


def _fault(said: Said, classes: Sequence[str]) -> str:
    if not classes:
        number = isinstance(said.value, float | int) and math.isfinite(said.value)
        return "" if number and not said.probabilities else f"'{said.value}' is no number"
    p = said.probabilities
    if strange := sorted({str(said.value), *p} - set(classes)):
        return f"{', '.join(strange)}: not of {', '.join(classes)}"
    if not all(0 <= value <= 1 for value in p.values()) or abs(math.fsum(p.values()) - 1) > SUM:
        return "its probabilities are no shares that add up to 1"
    return "" if p.get(str(said.value)) == max(p.values()) else f"{said.value} is not its most probable class"


def read_value(match: Match) -> Said:
    """What is predicted for a case.

    Raises:
        BenchError: there is no prediction, or the file holds something else.
    """
    if match.prediction is None:
        raise BenchError("there is no prediction", mend=f"write {match.case}.json")
    return read_json(match.prediction, Said)
