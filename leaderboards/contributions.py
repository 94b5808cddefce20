"""What each patient and repeat adds to a macro mean: the array that intervals, tests and ranks are made from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from leaderboards import statistics
from leaderboards.record import CaseScore
from leaderboards.statistics import Array
from leaderboards.summary import Interval, Values, bounds, by_label


def contributions(tables: Sequence[Values], subjects: Sequence[str]) -> Array:
    """(subjects, repeats), float64; the mean of all is the macro mean.

    Complete data: the mean over labels. Where labels are missing for some subjects, linearised:
    z = mu + C Σ_l (y_l - mean_l) / (L n_l) over the labels that a subject has. A value which only some repeats have
    counts in the others as the mean of those, as it does in the macro mean.
    """
    return _linearised(_array(tables, _labels(tables), subjects))


def _linearised(values: Array) -> Array:
    """From (..., labels, subjects, repeats), NaN where there is no value, to (..., subjects, repeats)."""
    there = ~np.isnan(values)
    pooled = np.where(there, values, 0).sum(-1) / np.maximum(there.sum(-1), 1)
    known = np.asarray(there.any(-1))
    counts = known.sum(-1)
    means = (pooled * known).sum(-1) / counts
    deviations = np.where(there, values, pooled[..., None]) - means[..., None, None]
    deviations = np.where(known[..., None], deviations, 0) / counts[..., None, None]
    return np.asarray(means.mean(-1)[..., None, None] + values.shape[-2] * deviations.mean(-3))


def _array(tables: Sequence[Values], labels: Sequence[str], subjects: Sequence[str]) -> Array:
    values = np.full((len(labels), len(subjects), len(tables)), np.nan)
    order, column = [*subjects], {subject: i for i, subject in enumerate(subjects)}
    for repeat, table in enumerate(tables):
        for row, label in enumerate(labels):
            found = table.get(label, {})
            # Mostly each subject is there, in order.
            places = slice(None) if [*found] == order else [column[subject] for subject in found]
            values[row, places, repeat] = [*found.values()]
    return values


def _labels(tables: Sequence[Values]) -> list[str]:
    return sorted({label for table in tables for label in table})


def _subjects(tables: Sequence[Values]) -> list[str]:
    return sorted({subject for table in tables for found in table.values() for subject in found})


def tabulate(repeats: Sequence[Sequence[CaseScore]], definition: str) -> list[Values]:
    """What each repeat scored, by label and subject; a repeat without any value is left out."""
    tables = [by_label(scores, definition) for scores in repeats]
    return [table for table in tables if table]


def interval(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Interval | None:
    """The 95 % interval of a macro mean, kept within what the metric can be; None for a single patient."""
    return intervals({definition: tabulate(repeats, definition)}).get(definition)


def intervals(found: Mapping[str, Sequence[Values]]) -> dict[str, Interval]:
    """As `interval`, of what `tabulate` gives for each definition; those of a single patient are not there."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...], int], dict[str, Array]] = defaultdict(dict)
    for definition, tables in found.items():
        labels, subjects = _labels(tables), _subjects(tables)
        if len(subjects) > 1:
            alike[tuple(labels), tuple(subjects), len(tables)][definition] = _array(tables, labels, subjects)
    made = {name: each for arrays in alike.values() for name, each in _intervals(arrays).items()}
    return {definition: made[definition] for definition in found if definition in made}


def _intervals(arrays: Mapping[str, Array]) -> dict[str, Interval]:
    """Of arrays of one shape, all at once: a hundred calls of NumPy take longer than their sums."""
    estimate = statistics.mean(_linearised(np.stack([*arrays.values()])))
    lows, highs = estimate.bounds()
    made = {}
    for i, (definition, array) in enumerate(arrays.items()):
        least, most = bounds(definition)
        made[definition] = Interval(
            mean=float(estimate.mean[i]),
            low=max(float(lows[i]), least),
            high=min(float(highs[i]), most),
            df=float(estimate.df[i]) if np.isfinite(estimate.df[i]) else None,
            seeds=array.shape[-1] > 1,
        )
    return made
