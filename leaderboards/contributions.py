"""What each patient and repeat adds to a macro mean: the array that intervals, tests and ranks are made from."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from leaderboards import statistics
from leaderboards.record import CaseScore
from leaderboards.statistics import Array
from leaderboards.summary import Cells, Interval, bounds, cells


def contributions(table: Cells, subjects: Sequence[str]) -> Array:
    """(subjects, repeats), float64; the mean of all is the macro mean.

    Complete data: the mean over labels. Where labels are missing for some subjects, linearised:
    z = mu + C Σ_l (y_l - mean_l) / (L n_l) over the labels that a subject has. A value which only some repeats have
    counts in the others as the mean of those, as it does in the macro mean.
    """
    column = {subject: i for i, subject in enumerate(subjects)}
    values = np.full((len(table.labels), len(subjects), table.values.shape[-1]), np.nan)
    values[:, [column[subject] for subject in table.subjects]] = table.values[0]
    return _linearised(values)


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


def tabulate(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Cells:
    """What each repeat scored, by label and subject; what has no value at all is left out, be it a repeat."""
    return only(cells(repeats, [definition]), definition)


def only(found: Cells, definition: str) -> Cells:
    """One definition, as `tabulate`."""
    number = found.definitions.index(definition)
    values = found.values[number : number + 1]
    there = ~np.isnan(values[0])
    if there.all():
        return found._replace(definitions=(definition,), values=values)
    labels, subjects, repeats = (np.flatnonzero(there.any(axes)) for axes in ((1, 2), (0, 2), (0, 1)))
    return Cells(
        (definition,),
        tuple(found.labels[i] for i in labels),
        tuple(found.subjects[i] for i in subjects),
        values[:, labels[:, None, None], subjects[:, None], repeats],
    )


def interval(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Interval | None:
    """The 95 % interval of a macro mean, kept within what the metric can be; None for a single patient."""
    return intervals(cells(repeats, [definition])).get(definition)


def intervals(found: Cells) -> dict[str, Interval]:
    """As `interval`, for each of the definitions; those of a single patient are not there."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...], int], dict[str, Array]] = defaultdict(dict)
    for definition in found.definitions:
        _, labels, subjects, values = only(found, definition)
        if len(subjects) > 1:
            alike[labels, subjects, values.shape[-1]][definition] = values[0]
    made = {name: each for arrays in alike.values() for name, each in _intervals(arrays).items()}
    return {definition: made[definition] for definition in found.definitions if definition in made}


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
            df=statistics.freedom(float(estimate.df[i])),
            seeds=array.shape[-1] > 1,
        )
    return made
