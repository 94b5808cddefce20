"""Per-case scores -> one summary. What an undefined score counts for is decided here and nowhere else."""

import math
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from converters.files import Strict
from leaderboards import tasks
from leaderboards.record import CaseScore

OVERLAPS = {"dice", "iou", "nsd"}
DISTANCES = {"hd", "hd95", "assd", "masd"}
VOLUMES = {"ravd"}
HEADLINE = OVERLAPS | DISTANCES | VOLUMES | tasks.HEADLINE
SHARES = {"precision", "boundary_iou", "lesion_precision", "lesion_f1"}  # count as the overlaps do
FOUND = {"sensitivity", "lesion_sensitivity"}  # shares of a reference, which a false structure has not
ERRORS = {"volume_abs_error_ml"}  # count as measured: all of a missed or a false volume

Values = Mapping[str, Mapping[str, float]]  # label -> subject -> value
_BITS = 2 * 53 + 3  # of the square that a correctly rounded root is taken of
_KNOWN = 4096  # names of definitions that are kept taken apart


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


@lru_cache(_KNOWN)
def short(definition: str) -> str:
    """`hd95` of `hd95:c6-bg-max:v1`, `nsd@2mm` of `nsd@2mm:c6-bg-pooled:v1`."""
    return definition.partition(":")[0]


@lru_cache(_KNOWN)
def family(definition: str) -> str:
    """`nsd` of `nsd@2mm:c6-bg-pooled:v1`, `absolute_error` of `absolute_error_years:v1`."""
    return tasks.bare(short(definition).partition("@")[0])


def tolerance(definition: str) -> float:
    """2.0 of `nsd@2mm:c6-bg-pooled:v1`, in mm; 0 where there is none."""
    return float(short(definition).partition("@")[2].removesuffix("mm") or 0)


def ranked(definitions: Iterable[str]) -> list[str]:
    """The definitions that rows are ranked by: Dice, and the NSD of the largest tolerance; of other tasks their own."""
    known = sorted(set(definitions))
    lenient = sorted((d for d in known if family(d) == "nsd"), key=tolerance)[-1:]
    return leading(known) + lenient + [d for d in known if d == tasks.SSIM]


def leading(definitions: Iterable[str]) -> list[str]:
    """The definition that rows are put in order by: Dice; accuracy, absolute error or PSNR of tasks without labels."""
    return sorted({d for d in definitions if family(d) in {"dice", *tasks.LEADING}})


@lru_cache(_KNOWN)
def direction(definition: str) -> int:
    """1 where more is better, -1 where less is, 0 where neither is (a volume) or nobody said."""
    kind = family(definition)
    if kind in OVERLAPS | SHARES | FOUND | tasks.HIGHER:
        return 1
    return -1 if kind in DISTANCES | VOLUMES | ERRORS | tasks.LOWER else 0


@lru_cache(_KNOWN)
def bounds(definition: str) -> tuple[float, float]:
    """The least and the most a metric can be."""
    kind = family(definition)
    if (known := tasks.bounds(kind)) is not None:
        return known
    share = kind in OVERLAPS | SHARES | FOUND
    return (0.0 if share or kind in HEADLINE | ERRORS else -math.inf), (1.0 if share else math.inf)


def counted(score: CaseScore, definition: str) -> float | None:
    """What a score counts for in a mean; None leaves it out.

    A missed, false or invalid structure counts as the worst there is: 0 for Dice, IoU and NSD, the image diagonal for
    distances, 100 % for a missed volume (a false one has no reference volume to relate to). Both sides empty: left out.
    Precision, boundary IoU and the shares of lesions count 0 too, sensitivity but for a false structure, which has
    nothing to find. A metric without such a rule counts as measured. `tasks.missing` has the rules of other tasks.
    """
    kind = family(definition)
    if score.status == "both_empty":
        return None
    if score.status == "ok" or kind not in HEADLINE | SHARES | FOUND | tasks.SHARES:
        return score.metrics.get(definition)
    if kind in tasks.HEADLINE | tasks.SHARES:
        return tasks.missing(score, definition)
    if kind in DISTANCES:
        return score.diagonal_mm
    if score.status == "false" and kind in FOUND | VOLUMES:
        return None
    return 100.0 if kind in VOLUMES else 0.0


def summarise(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Summary | None:
    """One metric over the repeats of a run; None when no score has a value.

    Quartiles by linear interpolation between the values, as NumPy's default.
    """
    return over_labels([by_label(scores, definition) for scores in repeats])


def over_labels(tables: Sequence[Values]) -> Summary | None:
    """As `summarise`, of what `by_label` gives for each repeat."""
    return _overall(tables, _cells(tables))


def overall_and_each(tables: Sequence[Values]) -> tuple[Summary | None, dict[str, Summary]]:
    """As `over_labels`, and the same of each label by itself."""
    cells = _cells(tables)
    means = {label: [_mean(table[label].values()) for table in tables if label in table] for label in cells}
    return _overall(tables, cells), {label: _summary([cells[label]], means[label]) for label in cells}


def _overall(tables: Sequence[Values], cells: Values) -> Summary | None:
    means = [_mean([_mean(found.values()) for found in table.values()]) for table in tables if table]
    return _summary([*cells.values()], means) if cells else None


def _cells(tables: Sequence[Values]) -> Values:
    return {label: _pooled(tables, label) for label in dict.fromkeys(chain.from_iterable(tables))}


def _pooled(tables: Sequence[Values], label: str) -> dict[str, float]:
    """Subject -> the mean over the repeats in which it has a value."""
    found: dict[str, list[float]] = defaultdict(list)
    for table in tables:
        for subject, value in table.get(label, {}).items():
            found[subject].append(value)
    return {subject: _mean(values) for subject, values in found.items()}


def _summary(cells: Sequence[Mapping[str, float]], means: Sequence[float]) -> Summary:
    """Of the cells of each label, and the mean of each repeat."""
    q1, median, q3 = _quartiles(sorted(chain.from_iterable(values.values() for values in cells)))
    return Summary(
        mean=_mean([_mean(values.values()) for values in cells]),
        sd=_spread(means) if len(means) > 1 else None,
        median=median,
        q1=q1,
        q3=q3,
        n=len(set().union(*cells)),
    )


def definitions(scores: Iterable[CaseScore]) -> set[str]:
    """Every definition that one of the scores has a value of, or could have; mostly they all have the same."""
    return set(chain.from_iterable({tuple(score.metrics) for score in scores}))


def _mean(values: Collection[float]) -> float:
    """As statistics.fmean, which sums exactly, whatever the order; without its questions."""
    return math.fsum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    """As statistics.stdev, to the last bit: whole numbers are as exact as its fractions and a tenth of the work."""
    ratios = [value.as_integer_ratio() for value in values]
    scale = max(bottom for _, bottom in ratios)  # powers of two
    whole = [top * (scale // bottom) for top, bottom in ratios]
    n, total = len(whole), sum(whole)
    return _root(n * sum(value * value for value in whole) - total * total, n * (n - 1) * scale * scale)


def _root(top: int, bottom: int) -> float:
    """The square root of top / bottom, rounded once: to odd with bits to spare, then to the nearest float."""
    shift = (top.bit_length() - bottom.bit_length() - _BITS) // 2
    top, bottom = (top, bottom << 2 * shift) if shift >= 0 else (top << -2 * shift, bottom)
    root = math.isqrt(top // bottom)
    root |= root * root * bottom != top
    return float(root << shift) if shift >= 0 else root / (1 << -shift)


def run_means(runs: Iterable[Sequence[CaseScore]], definition: str) -> list[float]:
    """The mean of each run; runs in which no score has a value are left out."""
    found = [summarise([cases], definition) for cases in runs]
    return [summary.mean for summary in found if summary is not None]


def _quartiles(values: list[float]) -> list[float]:
    # A single value has no quantiles in the standard library before Python 3.13.
    return values * 3 if len(values) == 1 else statistics.quantiles(values, n=4, method="inclusive")


def by_label(scores: Iterable[CaseScore], definition: str) -> Values:
    """Mean over the cases of a subject, in one repeat: two images of one heart are not two patients.

    A label without any value is not there.
    """
    if definition == tasks.AUC:
        scores = [*scores]
        return tasks.areas(by_label(scores, tasks.PROBABILITY), by_label(scores, tasks.TRUTH))
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for score in scores:
        # What most scores count for is not worth a call.
        value = score.metrics.get(definition) if score.status == "ok" else counted(score, definition)
        if value is not None:
            found[score.label][score.subject].append(value)
    return {label: {subject: _mean(values) for subject, values in of.items()} for label, of in found.items()}
