"""Per-case scores -> one summary. What an undefined score counts for is decided here and nowhere else."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain, product
from typing import NamedTuple

import numpy as np

from converters.files import Strict
from leaderboards import exact, tasks
from leaderboards.exact import Array
from leaderboards.record import CaseScore

OVERLAPS = {"dice", "iou", "nsd"}
DISTANCES = {"hd", "hd95", "assd", "masd"}
VOLUMES = {"ravd"}
HEADLINE = OVERLAPS | DISTANCES | VOLUMES | tasks.HEADLINE
SHARES = {"precision", "boundary_iou", "lesion_precision", "lesion_f1"}  # count as the overlaps do
FOUND = {"sensitivity", "lesion_sensitivity"}  # shares of a reference, which a false structure has not
ERRORS = {"volume_abs_error_ml"}  # count as measured: all of a missed or a false volume

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


class Cells(NamedTuple):
    """What each repeat scored, the mean over the cases of a subject: two images of one heart are not two patients."""

    definitions: tuple[str, ...]
    labels: tuple[str, ...]  # sorted
    subjects: tuple[str, ...]  # sorted
    values: Array  # (definitions, labels, subjects, repeats), NaN where no score counts


def cells(repeats: Sequence[Sequence[CaseScore]], definitions: Sequence[str]) -> Cells:
    """Every score of the repeats."""
    every = {(score.label, score.subject) for scores in repeats for score in scores}
    labels, subjects = (tuple(sorted(set(names))) for names in (zip(*every, strict=True) if every else ((), ())))
    places = {pair: i for i, pair in enumerate(product(labels, subjects))}
    values = np.full((len(places), len(definitions), len(repeats)), np.nan)
    for repeat, scores in enumerate(repeats):
        values[..., repeat] = _by_place(scores, definitions, places)
    shaped = np.moveaxis(values.reshape(len(labels), len(subjects), len(definitions), len(repeats)), 2, 0)
    found = Cells(tuple(definitions), labels, subjects, np.ascontiguousarray(shaped))
    if tasks.AUC in definitions:
        _fill_areas(found.values[found.definitions.index(tasks.AUC)], cells(repeats, [tasks.PROBABILITY, tasks.TRUTH]))
    return found


def _fill_areas(out: Array, known: Cells) -> None:
    """The area under ROC hangs on all subjects of a repeat."""
    for repeat in range(out.shape[-1]):
        probability, truth = (
            {
                label: {s: v for s, v in zip(known.subjects, line, strict=True) if not math.isnan(v)}
                for label, line in zip(known.labels, table.tolist(), strict=True)
            }
            for table in known.values[..., repeat]
        )
        for label, area in tasks.areas(probability, truth).items():
            out[known.labels.index(label), [known.subjects.index(s) for s in area], repeat] = [*area.values()]


def _by_place(scores: Sequence[CaseScore], definitions: Sequence[str], places: Mapping[tuple[str, str], int]) -> Array:
    """(places, definitions): the mean over the scores that belong to each place."""
    taken: Counter[int] = Counter()
    where = []
    for score in scores:
        place = places[score.label, score.subject]
        where.append((taken[place], place))
        taken[place] += 1
    values = np.full((max(taken.values(), default=0), len(places), len(definitions)), np.nan)
    # What most scores count for is not worth a call.
    told = chain.from_iterable(
        map(score.metrics.get, definitions)
        if score.status == "ok"
        else [counted(score, definition) for definition in definitions]
        for score in scores
    )
    if where:
        numbers = np.fromiter(told, float)  # None is NaN
        values[tuple(zip(*where, strict=True))] = numbers.reshape(len(scores), len(definitions))
    return exact.mean(values)


def summarise(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Summary | None:
    """One metric over the repeats of a run; None when no score has a value.

    Quartiles by linear interpolation between the values, as NumPy's default.
    """
    return summaries(cells(repeats, [definition]))[definition][0]


def summaries(found: Cells) -> dict[str, tuple[Summary | None, dict[str, Summary]]]:
    """Definition -> as `summarise`, and the same of each label by itself that has a value."""
    if not found.labels:
        return {definition: (None, {}) for definition in found.definitions}
    pooled = exact.mean(np.moveaxis(found.values, 3, 0))  # definitions, labels, subjects
    by_run = _with_mean_of_labels(exact.mean(np.moveaxis(found.values, 2, 0)))
    known = ~np.isnan(pooled)
    columns = np.moveaxis(pooled, 2, 0)
    together = exact.quartiles(pooled.reshape(len(pooled), -1).T)
    quartiles = np.concatenate([together[..., None], exact.quartiles(columns)], axis=2)
    parts = (
        _with_mean_of_labels(exact.mean(columns)[..., None])[..., 0],
        by_run,
        np.moveaxis(quartiles, 0, 2),
        np.concatenate([known.any(1).sum(1)[:, None], known.sum(2)], axis=1),
    )
    made = {}
    for definition, *numbers in zip(found.definitions, *(part.tolist() for part in parts), strict=True):
        whole, *each = (_summary(*of) for of in zip(*numbers, strict=True))
        made[definition] = whole, {label: one for label, one in zip(found.labels, each, strict=True) if one is not None}
    return made


def _with_mean_of_labels(values: Array) -> Array:
    """(definitions, labels, runs) with the mean over labels before them."""
    return np.concatenate([exact.mean(np.moveaxis(values, 1, 0))[:, None], values], axis=1)


def _summary(mean: float, by_run: Sequence[float], quartiles: Sequence[float], n: int) -> Summary | None:
    if not n:
        return None
    means = [value for value in by_run if not math.isnan(value)]
    q1, median, q3 = quartiles
    return Summary(mean=mean, sd=exact.spread(means) if len(means) > 1 else None, median=median, q1=q1, q3=q3, n=n)


def run_means(runs: Sequence[Sequence[CaseScore]], definition: str) -> list[float]:
    """The mean of each run; runs in which no score has a value are left out."""
    values = cells(runs, [definition]).values
    means = exact.mean(exact.mean(np.moveaxis(values[0], 1, 0)))
    return [float(value) for value in means if not np.isnan(value)]


def definitions(scores: Iterable[CaseScore]) -> set[str]:
    """Every definition that one of the scores has a value of, or could have; mostly they all have the same."""
    return set(chain.from_iterable({tuple(score.metrics) for score in scores}))
