"""Two runs of one checkpoint -> the scores of the same patients, before and after."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from leaderboards.record import CaseScore, Record
from leaderboards.summary import DISTANCES, counted, direction, family

Pair = tuple[Record, Record]  # base, new
Both = tuple[float, float]
_REPEATS = tuple[int, str]


def by_repeat(base: Iterable[Record], new: Iterable[Record]) -> list[Pair] | None:
    """Each new record beside the base record of its seed and draw; None where one has no such partner."""
    known: dict[_REPEATS, Record] = {(record.seed, record.draw): record for record in base}
    found = [(known.get((record.seed, record.draw)), record) for record in new]
    return [(old, record) for old, record in found if old is not None] if all(old for old, _ in found) else None


def same_checkpoint(pair: Pair) -> bool:
    """Whether nothing was trained between the two: the digest of the weights, or of the predictions, is one.

    Predictions that came from outside name no weights: those of one seed are taken as one checkpoint's.
    """
    base, new = pair
    if same_predictions(pair):
        return True
    models = {base.digests.get("model"), new.digests.get("model")}
    if models != {None}:
        return len(models) == 1
    return base.train is None and new.train is None


def same_predictions(pair: Pair) -> bool:
    """Whether both predicted the same voxels in every case."""
    base, new = (record.digests.get("predictions") for record in pair)
    return base is not None and base == new


def patients(pairs: Sequence[Pair], definition: str) -> dict[str, dict[str, Both]]:
    """Label -> patient -> value before and after: the mean over the cases of the patient and over the pairs.

    A structure that is truly absent has no value where it was left alone, and the worst where it was drawn. To leave it
    alone counts as perfect here if the other side drew it, so that a false organ is a change of that patient.
    """
    found: dict[str, dict[str, list[Both]]] = defaultdict(lambda: defaultdict(list))
    for base, new in pairs:
        after = {(score.case, score.label): score for score in new.cases}
        for score in base.cases:
            both = _both(score, after[score.case, score.label], definition)
            if both is not None:
                found[score.label][score.subject].append(both)
    return {label: {subject: _mean(cells) for subject, cells in of.items()} for label, of in found.items()}


def over_labels(labels: Mapping[str, Mapping[str, Both]]) -> dict[str, Both]:
    """Patient -> the mean over the labels it has, before and after."""
    found: dict[str, list[Both]] = defaultdict(list)
    for of in labels.values():
        for subject, both in of.items():
            found[subject].append(both)
    return {subject: _mean(cells) for subject, cells in found.items()}


def drops(values: Mapping[str, Both], definition: str) -> list[float]:
    """By how much each patient is worse after than before."""
    return [direction(definition) * (before - after) for before, after in values.values()]


def _both(base: CaseScore, new: CaseScore, definition: str) -> Both | None:
    before, after = counted(base, definition), counted(new, definition)
    if before is None and after is None:
        return None
    perfect = 0.0 if family(definition) in DISTANCES else 1.0
    return (perfect if before is None else before, perfect if after is None else after)


def _mean(cells: Sequence[Both]) -> Both:
    return statistics.fmean(before for before, _ in cells), statistics.fmean(after for _, after in cells)
