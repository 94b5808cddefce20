"""Two rows of the same data and definitions -> every number that a gate judges, with its verdict."""

import statistics
from collections.abc import Mapping, Sequence

from leaderboards import pairs
from leaderboards.change import Change, Verdict, change
from leaderboards.gate import Judgement, Limits, one_sided, paired, retrained
from leaderboards.pairs import Both, Pair
from leaderboards.statistics import holm
from leaderboards.summary import direction, family, ranked
from leaderboards.table import Group
from leaderboards.tolerances import means

SLOWER = 1.10  # ratio of the speeds of training
_SAME = 1e-9  # sums in another order
_MACHINE = ("cpu", "gpu", "cores", "threads")


def scores(base: Group, new: Group, limits: Limits) -> list[Change]:
    """Dice and NSD through the gate that fits, and HD95 for information."""
    matched = pairs.by_repeat(base.records, new.records)
    fixed = matched is not None and all(pairs.same_checkpoint(pair) for pair in matched)
    judged = ranked(base.section.definitions.values())
    gate = limits.gate if limits.gate != "auto" else "paired" if fixed else "retrained"
    if gate == "retrained":
        changes = [_retrained(base, new, definition, limits) for definition in judged]
    elif matched is None:
        changes = [change(base, gate="paired", verdict="not gated", why="NEW has a seed that BASE has not")]
    else:
        base = base._replace(records=tuple(old for old, _ in matched))  # other seeds of BASE have no counterpart
        changes = [one for d in judged for one in _paired(base, matched, d, limits)]
    return [*changes, *(_told(base, new, d) for d in base.section.definitions.values() if family(d) == "hd95")]


def _paired(base: Group, matched: Sequence[Pair], definition: str, limits: Limits) -> list[Change]:
    """The mean over labels, and each label."""
    labels = pairs.patients(matched, definition)
    over_all = pairs.over_labels(labels)
    facts = {"gate": "paired", "metric": definition}
    if not over_all:
        return [change(base, **facts, verdict="not gated", why="no patient has a value")]
    if all(pairs.same_predictions(pair) for pair in matched):
        return [change(base, **facts, **_values(over_all), **_identical(over_all, definition))]
    if len(over_all) < 2:
        why = "one patient tells nothing about others; 2 are needed"
        return [change(base, **facts, **_values(over_all), verdict="not gated", why=why)]
    ps = holm([one_sided(pairs.drops(of, definition)) for of in labels.values()])
    judgements = [("", over_all, one_sided(pairs.drops(over_all, definition)))]
    judgements += [(label, of, p) for (label, of), p in zip(labels.items(), ps, strict=True) if len(labels) > 1]
    return [
        change(base, **facts, label=label, **_values(of), **_said(paired(pairs.drops(of, definition), p, limits)))
        for label, of, p in judgements
    ]


def _identical(values: Mapping[str, Both], definition: str) -> dict[str, object]:
    """The same predictions must score the same: where they do not, the scorer changed and kept its version."""
    largest = max(abs(drop) for drop in pairs.drops(values, definition))
    if largest <= _SAME:
        return {"drop": 0.0, "verdict": "identical", "why": "the same predictions, voxel for voxel"}
    why = f"the same predictions score differently, by up to {largest:.2g}, under the same version of the metric"
    return {"verdict": "regressed", "why": why}


def _values(values: Mapping[str, Both]) -> dict[str, float]:
    return {
        "base": statistics.fmean(before for before, _ in values.values()),
        "new": statistics.fmean(after for _, after in values.values()),
    }


def _retrained(base: Group, new: Group, definition: str, limits: Limits) -> Change:
    before, after = means(base, definition), means(new, definition)
    facts: dict[str, object] = {"gate": "retrained", "metric": definition}
    if before and after:
        facts |= {"base": statistics.fmean(before), "new": statistics.fmean(after)}
    if len(before) < limits.seeds or not after:
        why = f"{limits.seeds} reference seeds are needed, {len(before)} are there" if after else "NEW has no value"
        return change(base, **facts, verdict="not gated", why=why)
    way = direction(definition)  # a drop is one in quality, also of an error
    judged = retrained([way * value for value in before], [way * value for value in after], limits)
    return change(base, **facts, **_said(judged))


def _said(found: Judgement) -> dict[str, object]:
    verdict: Verdict = "regressed" if found.regressed else "improved" if found.drop < -found.limit else "within"
    return {"drop": found.drop, "limit": found.limit, "p": found.p, "verdict": verdict, "why": found.why}


def _told(base: Group, new: Group, definition: str) -> Change:
    """A distance: told, and judged by nobody, for one lost organ is an image diagonal."""
    before, after = means(base, definition), means(new, definition)
    facts: dict[str, object] = {"metric": definition, "verdict": "told"}
    if before and after:
        facts |= {"base": statistics.fmean(before), "new": statistics.fmean(after)}
        facts["drop"] = statistics.fmean(after) - statistics.fmean(before)
    return change(base, **facts)


def speed(base: Group, new: Group) -> list[Change]:
    """Samples a second in training, where both ran on the same machine; a hint, for its neighbours are not known."""
    if _machines(base) != _machines(new) or len(_machines(base)) != 1:
        return []
    before, after = _rates(base), _rates(new)
    if not before or not after:
        return []
    then, now = statistics.median(before), statistics.median(after)
    slower = now * SLOWER < then
    samples = f"medians of {len(before)} and {len(after)} runs"
    why = f"{then / now:.2f} times slower, {samples}: no proof, other work may have shared the machine"
    facts = {"gate": "speed", "metric": "train_items_per_s", "base": then, "new": now}
    return [change(base, **facts, verdict="slower" if slower else "told", why=why if slower else samples)]


def _rates(group: Group) -> list[float]:
    # 0 where nobody measured it: no speed.
    return [record.train.items_per_s for record in group.records if record.train and record.train.items_per_s > 0]


def _machines(group: Group) -> set[tuple[str | None, ...]]:
    return {tuple(record.machine.get(fact) for fact in _MACHINE) for record in group.records}
