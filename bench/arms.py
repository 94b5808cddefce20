"""Runs of a crossing of factors compared: what each factor adds, patient by patient, whatever the others are."""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Generic, NamedTuple, TypeVar

import msgspec
import numpy as np

from converters.sliced import slice_of
from leaderboards import statistics
from leaderboards.record import CaseScore, Record
from leaderboards.summary import counted

DICE = "dice:v1"

Arm = TypeVar("Arm", bound=tuple)  # type: ignore[type-arg]  # a named tuple with a level of each factor
ByPatient = Mapping[str, float]
Pair = tuple[Mapping[int, ByPatient], Mapping[int, ByPatient]]  # of two arms, each by seed
Value = Callable[[Sequence[CaseScore]], ByPatient]  # the scores of a run -> patient -> value


class Effect(NamedTuple):
    """A mean difference over patients, with its 95 % interval where there are two or more."""

    mean: float
    low: float | None
    high: float | None
    patients: int
    pairs: int  # of arms

    @property
    def told(self) -> str:
        """As in a table: `+0.012 [-0.003, +0.027]`."""
        held = "" if self.low is None or self.high is None else f" [{self.low:+.3f}, {self.high:+.3f}]"
        return f"{self.mean:+.3f}{held}"


class Crossing(Generic[Arm]):
    """The records of each arm, by seed."""

    def __init__(self, records: Iterable[tuple[Arm, Record]]) -> None:
        self.arms: dict[Arm, dict[int, Record]] = {}
        for arm, record in records:
            self.arms.setdefault(arm, {})[record.seed] = record

    def values(self, arm: Arm, value: Value) -> dict[int, ByPatient]:
        """Seed -> patient -> value."""
        return {seed: value(record.cases) for seed, record in sorted(self.arms[arm].items())}

    def mean(self, arm: Arm, value: Value) -> float | None:
        """Mean over seeds of the mean over patients; None where nothing has a value."""
        found = [fmean(each.values()) for each in self.values(arm, value).values() if each]
        return fmean(found) if found else None

    def effect(self, factor: str, levels: tuple[object, object], value: Value) -> Effect | None:
        """What the second level adds to the first, over all pairs of arms that differ in nothing else.

        None where there is no pair, or no patient whom both have.
        """
        low = [arm for arm in self.arms if getattr(arm, factor) == levels[0]]
        pairs = [(arm, other) for arm in low if (other := arm._replace(**{factor: levels[1]})) in self.arms]  # type: ignore[attr-defined]
        return difference([(self.values(b, value), self.values(a, value)) for a, b in pairs])


def difference(pairs: Sequence[Pair]) -> Effect | None:
    """Mean of first minus second over pairs of arms; patients and seeds that all of them have."""
    both = list(itertools.chain.from_iterable(pairs))
    seeds = sorted(set.intersection(*(set(each) for each in both))) if both else []
    tables = [each[seed] for each in both for seed in seeds]
    patients = sorted(set.intersection(*(set(table) for table in tables))) if tables else []
    if not patients:
        return None
    gaps = np.array([[[a[s][p] - b[s][p] for s in seeds] for p in patients] for a, b in pairs]).mean(0)
    if len(patients) == 1:
        return Effect(float(gaps.mean()), None, None, 1, len(pairs))
    estimate = statistics.mean(gaps)
    low, high = estimate.bounds()
    return Effect(float(estimate.mean), float(low), float(high), len(patients), len(pairs))


def volumes(scores: Iterable[CaseScore]) -> tuple[CaseScore, ...]:
    """The counts of the slices of a patient added up: one score for each stack, of those slices that were tested."""
    found: dict[tuple[str, str, str], list[CaseScore]] = {}
    for score in scores:
        where = slice_of(score.case)
        found.setdefault((where.patient, where.stack, score.label), []).append(score)
    return tuple(_pooled(*key, of) for key, of in found.items())


def _pooled(patient: str, stack: str, label: str, of: Sequence[CaseScore]) -> CaseScore:
    tp, fp, fn = (sum(getattr(score, field) for score in of) for field in ("tp", "fp", "fn"))
    reference, predicted = tp + fn, tp + fp
    status = "ok" if reference and predicted else "missed" if reference else "false" if predicted else "both_empty"
    return msgspec.structs.replace(
        of[0],
        case=f"{patient}-{stack}",
        subject=patient,
        group=stack,
        label=label,
        status="invalid" if any(score.status == "invalid" for score in of) else status,
        tp=tp,
        fp=fp,
        fn=fn,
        diagonal_mm=max(score.diagonal_mm for score in of),
        touches_border=any(score.touches_border for score in of),
        ignored=sum(score.ignored for score in of),
        metrics={DICE: 2 * tp / (reference + predicted) if reference + predicted else None},
    )


def per_volume(stack: str) -> Value:
    """Dice of the volumes of a stack."""
    return lambda scores: _by_patient((s.subject, counted(s, DICE)) for s in volumes(scores) if s.group == stack)


def per_slice(stack: str, *, empty: float | None = None, only: frozenset[str] | None = None) -> Value:
    """Mean Dice of the slices of a patient; slices empty in reference and prediction count `empty`, or not at all.

    `only`: ids of the slices that count.
    """

    def value(score: CaseScore) -> float | None:
        return empty if score.status == "both_empty" else counted(score, DICE)

    def found(scores: Sequence[CaseScore]) -> ByPatient:
        kept = ((slice_of(score.case), score) for score in scores if only is None or score.case in only)
        return _by_patient((where.patient, value(score)) for where, score in kept if where.stack == stack)

    return found


def _by_patient(values: Iterable[tuple[str, float | None]]) -> ByPatient:
    found: dict[str, list[float]] = {}
    for patient, value in values:
        if value is not None:
            found.setdefault(patient, []).append(value)
    return {patient: fmean(of) for patient, of in sorted(found.items())}
