"""Per-case scores -> one summary. What an undefined score counts for is decided here and nowhere else."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from converters.files import Strict
from leaderboards.record import CaseScore

OVERLAPS = {"dice", "iou", "nsd"}
DISTANCES = {"hd", "hd95", "assd", "masd"}
VOLUMES = {"ravd"}
HEADLINE = OVERLAPS | DISTANCES | VOLUMES
SHARES = {"precision", "boundary_iou", "lesion_precision", "lesion_f1"}  # count as the overlaps do
FOUND = {"sensitivity", "lesion_sensitivity"}  # shares of a reference, which a false structure has not
ERRORS = {"volume_abs_error_ml"}  # count as measured: all of a missed or a false volume

Cells = dict[tuple[str, str], float]  # (label, subject) -> value


class Summary(Strict):
    """One metric of one row. The mean is over labels of the mean over subjects of the mean over repeats."""

    mean: float
    sd: float | None  # over repeats (seeds and draws), n - 1; None for a single one
    median: float  # with the quartiles: over every label and subject, each averaged over its repeats
    q1: float
    q3: float
    n: int  # subjects with a value


class Interval(Strict):
    """95 % interval of a macro mean, patients and seeds crossed."""

    mean: float
    low: float
    high: float
    df: float | None  # Satterthwaite; None where nothing varies
    seeds: bool  # False: a single seed, so the interval holds patients alone


def short(definition: str) -> str:
    """`hd95` of `hd95:c6-bg-max:v1`, `nsd@2mm` of `nsd@2mm:c6-bg-pooled:v1`."""
    return definition.partition(":")[0]


def family(definition: str) -> str:
    """`nsd` of `nsd@2mm:c6-bg-pooled:v1`."""
    return short(definition).partition("@")[0]


def tolerance(definition: str) -> float:
    """2.0 of `nsd@2mm:c6-bg-pooled:v1`, in mm; 0 where there is none."""
    return float(short(definition).partition("@")[2].removesuffix("mm") or 0)


def ranked(definitions: Iterable[str]) -> list[str]:
    """The definitions that rows are ranked by: Dice, and the NSD of the largest tolerance."""
    known = sorted(set(definitions))
    lenient = sorted((d for d in known if family(d) == "nsd"), key=tolerance)[-1:]
    return [d for d in known if family(d) == "dice"] + lenient


def direction(definition: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is (a volume) or nobody said."""
    kind = family(definition)
    return 1 if kind in OVERLAPS | SHARES | FOUND else -1 if kind in DISTANCES | VOLUMES | ERRORS else 0


def bounds(definition: str) -> tuple[float, float]:
    """The least and the most a metric can be."""
    kind = family(definition)
    share = kind in OVERLAPS | SHARES | FOUND
    return (0.0 if share or kind in HEADLINE | ERRORS else -math.inf), (1.0 if share else math.inf)


def counted(score: CaseScore, definition: str) -> float | None:
    """What a score counts for in a mean; None leaves it out.

    A missed, false or invalid structure counts as the worst there is: 0 for Dice, IoU and NSD, the image diagonal for
    distances, 100 % for a missed volume (a false one has no reference volume to relate to). Both sides empty: left out.
    Precision, boundary IoU and the shares of lesions count 0 too, sensitivity but for a false structure, which has
    nothing to find. A metric without such a rule counts as measured.
    """
    kind = family(definition)
    if score.status == "both_empty":
        return None
    if score.status == "ok" or kind not in HEADLINE | SHARES | FOUND:
        return score.metrics.get(definition)
    if kind in OVERLAPS | SHARES:
        return 0.0
    if kind in DISTANCES:
        return score.diagonal_mm
    if score.status == "false":
        return None
    return 0.0 if kind in FOUND else 100.0


def summarise(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Summary | None:
    """One metric over the repeats of a run; None when no score has a value.

    Quartiles by linear interpolation between the values, as NumPy's default.
    """
    tables = [by_subject(scores, definition) for scores in repeats]
    pooled: dict[tuple[str, str], list[float]] = defaultdict(list)
    for table in tables:
        for key, value in table.items():
            pooled[key].append(value)
    cells = {key: statistics.fmean(values) for key, values in pooled.items()}
    if not cells:
        return None
    means = [_over_labels(table) for table in tables if table]
    q1, median, q3 = _quartiles(sorted(cells.values()))
    return Summary(
        mean=_over_labels(cells),
        sd=statistics.stdev(means) if len(means) > 1 else None,
        median=median,
        q1=q1,
        q3=q3,
        n=len({subject for _, subject in cells}),
    )


def run_means(runs: Iterable[Sequence[CaseScore]], definition: str) -> list[float]:
    """The mean of each run; runs in which no score has a value are left out."""
    found = [summarise([cases], definition) for cases in runs]
    return [summary.mean for summary in found if summary is not None]


def _quartiles(values: list[float]) -> list[float]:
    # A single value has no quantiles in the standard library before Python 3.13.
    return values * 3 if len(values) == 1 else statistics.quantiles(values, n=4, method="inclusive")


def by_subject(scores: Iterable[CaseScore], definition: str) -> Cells:
    """Mean over the cases of a subject, in one repeat: two images of one heart are not two patients."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for score in scores:
        if (value := counted(score, definition)) is not None:
            found[score.label, score.subject].append(value)
    return {key: statistics.fmean(values) for key, values in found.items()}


def _over_labels(cells: Mapping[tuple[str, str], float]) -> float:
    labels: dict[str, list[float]] = defaultdict(list)
    for (label, _), value in sorted(cells.items()):
        labels[label].append(value)
    return statistics.fmean([statistics.fmean(values) for values in labels.values()])
