"""What each patient and repeat adds to a macro mean: the array that intervals, tests and ranks are made from."""

from collections.abc import Sequence

import numpy as np

from leaderboards import statistics
from leaderboards.record import CaseScore
from leaderboards.statistics import Array
from leaderboards.summary import Cells, Interval, bounds, by_subject


def contributions(tables: Sequence[Cells], subjects: Sequence[str]) -> Array:
    """(subjects, repeats), float64; the mean of all is the macro mean.

    Complete data: the mean over labels. Where labels are missing for some subjects, linearised:
    z = mu + C Σ_l (y_l - mean_l) / (L n_l) over the labels that a subject has. A value which only some repeats have
    counts in the others as the mean of those, as it does in the macro mean.
    """
    labels = {label: i for i, label in enumerate(sorted({label for table in tables for label, _ in table}))}
    column = {subject: i for i, subject in enumerate(subjects)}
    values = np.full((len(labels), len(subjects), len(tables)), np.nan)
    for repeat, table in enumerate(tables):
        for (label, subject), value in table.items():
            values[labels[label], column[subject], repeat] = value
    there = ~np.isnan(values)
    pooled = np.where(there, values, 0).sum(-1) / np.maximum(there.sum(-1), 1)
    known = there.any(-1)
    counts = known.sum(1)
    means = (pooled * known).sum(1) / counts
    deviations = np.where(there, values, pooled[..., None]) - means[:, None, None]
    deviations = np.where(known[..., None], deviations, 0) / counts[:, None, None]
    return np.asarray(means.mean() + len(subjects) * deviations.mean(0))


def tabulate(repeats: Sequence[Sequence[CaseScore]], definition: str) -> list[Cells]:
    """What each repeat scored, by label and subject; a repeat without any value is left out."""
    tables = [by_subject(scores, definition) for scores in repeats]
    return [table for table in tables if table]


def interval(repeats: Sequence[Sequence[CaseScore]], definition: str) -> Interval | None:
    """The 95 % interval of a macro mean, kept within what the metric can be; None for a single patient."""
    tables = tabulate(repeats, definition)
    subjects = sorted({subject for table in tables for _, subject in table})
    if len(subjects) < 2:
        return None
    estimate = statistics.mean(contributions(tables, subjects))
    least, most = bounds(definition)
    low, high = estimate.bounds()
    return Interval(
        mean=float(estimate.mean),
        low=max(float(low), least),
        high=min(float(high), most),
        df=float(estimate.df) if np.isfinite(estimate.df) else None,
        seeds=len(tables) > 1,
    )
