"""Metrics of tasks that are no label maps: which there are, what a missing prediction counts for, the area under ROC.

The kind of a task is told by the metrics of its scores: `accuracy` of a class, `absolute_error_<unit>` of a number,
`psnr_db` of an image. `docs/tasks.md` has the definitions.
"""

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import NamedTuple

from leaderboards.record import CaseScore

ACCURACY, TRUTH, PROBABILITY, AUC = "accuracy:v1", "truth:v1", "probability:v1", "auc:v1"
GUESSED = "constant_accuracy:v1"  # of the class that most visible training cases are of
SUM = 1e-3  # by which the probabilities of a case may miss 1
PSNR, SSIM = "psnr_db:v1", "ssim:v1"
PSNR_MOST = 100.0  # dB; an exact copy would have infinitely many

SHARES = {"accuracy", "constant_accuracy", "auc", "probability", "truth"}  # of which a row is a mean between 0 and 1
HIGHER = {"accuracy", "auc", "psnr_db", "ssim"}
LOWER = {"absolute_error"}
LEADING = ("accuracy", "absolute_error", "psnr_db")  # what the rows of a task are put in order by
HEADLINE = {"accuracy", "auc", "absolute_error", "psnr_db", "ssim"}
_COUNTED_IN = ("constant_absolute_error", "absolute_error", "error")  # each ends in a unit

_TITLES = {
    "accuracy": "Accuracy",
    "constant_accuracy": "Accuracy, most frequent class",
    "auc": "AUC",
    "absolute_error": "MAE {}",
    "constant_absolute_error": "MAE {}, constant",
    "error": "mean error {}",
    "psnr_db": "PSNR dB",
    "psnr_db_linear": "PSNR dB, linear",
    "psnr_db_mean_image": "PSNR dB, mean image",
    "ssim": "SSIM",
}
MEANINGS = {
    "accuracy": "share of the cases whose class is right, 0 to 1; higher is better",
    "auc": "area under the ROC curve of each class against the others, 0 to 1; higher is better",
    "absolute_error": "size of the error of a predicted number, in its unit; lower is better",
    "psnr_db": "peak signal-to-noise ratio in dB, 0 to 100; higher is better",
    "ssim": "structural similarity, 1 for the same image; higher is better",
}

Values = Mapping[str, Mapping[str, float]]  # label -> subject -> value


def bare(name: str) -> str:
    """`absolute_error` of `absolute_error_years`: the name of a metric without the unit that it ends in."""
    return next((stem for stem in _COUNTED_IN if name.startswith(f"{stem}_")), name)


def unit(name: str) -> str:
    """`years` of `absolute_error_years:v1`; empty where a metric has no unit of its own."""
    name = name.partition(":")[0]
    return name.removeprefix(bare(name)).removeprefix("_")


def title(definition: str) -> str:
    """A definition as tables and axes name it, `MAE years`; empty for a metric of label maps."""
    name = definition.partition(":")[0]
    return _TITLES.get(bare(name), "").format(unit(name))


class Shown(NamedTuple):
    """A column of a table: a mean, or with `interval` its 95 % interval."""

    heading: str
    definition: str
    digits: int
    interval: bool = False


def shown(definitions: Iterable[str]) -> list[Shown]:
    """The columns of rows that have these definitions; none for rows of label maps."""
    known = {bare(d.partition(":")[0]): d for d in definitions}
    found = []
    for kind in _TITLES:
        if kind in known:
            digits = 3 if kind in SHARES | {"ssim"} else 2
            found.append(Shown(title(known[kind]), known[kind], digits))
            if kind in LEADING:
                found.append(Shown("95 % interval", known[kind], digits, interval=True))
            if kind == "auc":
                found.append(Shown("AUC, 95 % interval", known[kind], digits, interval=True))
    return found


def bounds(kind: str) -> tuple[float, float] | None:
    """The least and the most that a metric of a task can be; None for another metric."""
    if kind in SHARES:
        return 0.0, 1.0
    if kind == "psnr_db" or kind.startswith("psnr_db_"):
        return 0.0, PSNR_MOST
    if kind == "ssim":
        return -1.0, 1.0
    return (0.0, float("inf")) if kind.endswith("absolute_error") else None


def missing(score: CaseScore, definition: str) -> float | None:
    """What a case counts for that has no valid prediction.

    Accuracy, PSNR and SSIM 0, the whole probability on the wrong class, and an error of the larger of two: as if 0
    had been predicted, or what the constant predictor has. What is known without a prediction counts as measured.
    """
    kind = bare(definition.partition(":")[0])
    if kind in {"accuracy", "psnr_db", "ssim"}:
        return 0.0
    if kind == "probability":
        return 1.0 - (score.metrics.get(TRUTH) or 0.0)
    if kind == "absolute_error":
        end = definition.removeprefix(kind)
        known = (score.metrics.get(f"truth{end}"), score.metrics.get(f"constant_absolute_error{end}"))
        return max(abs(value or 0.0) for value in known)
    return score.metrics.get(definition)


def derived(definitions: Iterable[str]) -> set[str]:
    """The definitions that scores with these give over all subjects, and no case by itself: the area under ROC."""
    return {AUC} if {TRUTH, PROBABILITY} <= set(definitions) else set()


def areas(probability: Values, truth: Values) -> Values:
    """Area under the ROC curve of each class against the others, as one value for each subject, whose mean it is.

    The area is the share of pairs, one subject of the class and one of another, in which the first has the higher
    probability; a tie counts half (Mann and Whitney; Hanley and McNeil, 1982). A subject's value is its jackknife
    pseudo-value (Arvesen, 1969): their mean is the area itself, and their variance over n is that of DeLong et al.
    (1988) to within 1 / n. A class with fewer than two subjects in it or outside it has no area.
    """
    found: dict[str, dict[str, float]] = {}
    for label, of in truth.items():
        inside = {s: probability[label][s] for s, value in of.items() if value > 0.5}
        outside = {s: probability[label][s] for s, value in of.items() if value <= 0.5}
        if min(len(inside), len(outside)) > 1:
            area = _pseudo(inside, outside)
            found[label] = {subject: area[subject] for subject in of}
    return found


def _pseudo(inside: Mapping[str, float], outside: Mapping[str, float]) -> dict[str, float]:
    m, n = len(inside), len(outside)
    over = {s: fmean(_over(p, q) for q in outside.values()) for s, p in inside.items()}
    under = {s: fmean(_over(p, q) for p in inside.values()) for s, q in outside.items()}
    area = fmean(over.values())
    return {s: area + (m + n - 1) / (m - 1) * (value - area) for s, value in over.items()} | {
        s: area + (m + n - 1) / (n - 1) * (value - area) for s, value in under.items()
    }


def _over(one: float, other: float) -> float:
    return float(one > other) + (one == other) / 2
