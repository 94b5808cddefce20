"""Figures of curves: Dice against labels spent, Dice against time, losses against steps."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from converters.files import digest
from leaderboards.site.figures import GREY, Drawing, colour, drawing, entry, listed, marker, named, panels
from leaderboards.site.plots import metric
from leaderboards.standing import name
from leaderboards.summary import summarise
from leaderboards.table import machine

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaderboards.record import Record
    from leaderboards.site.logs import Log
    from leaderboards.table import Group

FULL = 100  # percent of the training subjects that the protocol `full` labels


class _Series(NamedTuple):
    name: str
    points: dict[int, list[float]]  # percent -> the mean of each run


def percent(protocol: str) -> int | None:
    """The share of training subjects that a protocol labels densely, in %; None where it is not about that."""
    if protocol == "full":
        return FULL
    number = protocol.removeprefix("semi")
    return int(number) if number != protocol and number.isascii() and number.isdigit() and int(number) else None


@drawing
def efficiency(groups: "Sequence[Group]", definition: str) -> Drawing | None:
    """The mean score against the share of labelled subjects; None where no method has two shares.

    Line through the means of the runs, band from the lowest to the highest, dashed line at the best with all labels.
    Groups must be of one dataset, split and set of definitions.
    """
    series = [each for each in _series(groups, definition) if each.points]
    if not any(len(each.points) > 1 for each in series):
        return None
    shares = sorted({share for each in series for share in each.points})
    figure, (axis,) = panels((1, 1), (5.6, 3.4))
    for i, each in enumerate(series):
        _curve(axis, i, each)
    full = max((fmean(each.points[FULL]) for each in series if FULL in each.points), default=None)
    if full is not None:
        axis.axhline(full, color=GREY, linestyle="--", linewidth=1, label="best with all labels")
    axis.set_xscale("log")
    axis.set_xticks(shares, [f"{share} %" for share in shares])
    axis.set_xticks([], minor=True)
    axis.set_xlabel("labelled training subjects")
    axis.set_ylabel(f"mean {metric(definition)}")
    axis.legend(loc="best", fontsize=8)
    told = [f"{each.name}, {share} %: {fmean(each.points[share]):.3f}" for each in series for share in each.points]
    return Drawing(figure, f"Mean {metric(definition)} against the share of labelled subjects. {listed(told)}.")


def _series(groups: "Sequence[Group]", definition: str) -> list[_Series]:
    """One per method and way to train: what a protocol varies is not part of it."""
    found: dict[tuple[str, str], list[Group]] = defaultdict(list)
    for group in groups:
        if percent(group.section.protocol):
            found[group.method, digest([group.records[0].recipe.get("train")])].append(group)
    methods = [method for method, _ in found]
    made = []
    for (method, recipe), members in sorted(found.items()):
        variant = next((group.variant for group in members if group.variant), f"recipe {recipe[:8]}")
        points: dict[int, list[float]] = defaultdict(list)
        for group in members:
            share = percent(group.section.protocol)
            if share:
                points[share] += _means(group.records, definition)
        known = {share: sorted(points[share]) for share in sorted(points) if points[share]}
        made.append(_Series(f"{method} ({variant})" if methods.count(method) > 1 else method, known))
    return made


def _means(records: "Sequence[Record]", definition: str) -> list[float]:
    found = [summarise([record.cases], definition) for record in records]
    return [summary.mean for summary in found if summary is not None]


def _curve(axis: "Axes", i: int, series: _Series) -> None:
    shares = list(series.points)
    runs = list(series.points.values())
    means = [fmean(values) for values in runs]
    axis.fill_between(
        shares, [values[0] for values in runs], [values[-1] for values in runs], color=colour(i), alpha=0.15
    )
    axis.plot(shares, means, color=colour(i), marker=marker(i), markersize=5, label=entry(series.name))
    if len(shares) == 1:
        axis.plot(shares * 2, [runs[0][0], runs[0][-1]], color=colour(i), alpha=0.4)


def speed(groups: "Sequence[Group]", definition: str) -> dict[str, Drawing]:
    """Machine -> the mean score of every run on it against the seconds it took per case; never two machines in one.

    Groups must be of one section.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        for record in group.records:
            cost = record.predict
            if cost and min(cost.seconds, cost.items) > 0 and (mean := _means([record], definition)):
                found[machine(record)][name(group)].append((cost.seconds / cost.items, mean[0]))
    names = [name(group) for group in groups]
    drawn = {each: _speed(found[each], names, metric(definition)) for each in sorted(found)}
    return {each: figure for each, figure in drawn.items() if figure is not None}


@drawing
def _speed(points: Mapping[str, Sequence[tuple[float, float]]], names: Sequence[str], what: str) -> Drawing | None:
    figure, (axis,) = panels((1, 1), (5.6, 3.2))
    for i, each in enumerate(names):
        if each in points:
            seconds, means = zip(*points[each], strict=True)
            axis.scatter(seconds, means, s=30, marker=marker(i), color=colour(i), alpha=0.8, label=entry(each))
    # Never closer than a factor of two and a tenth of the score: noise must not fill the figure.
    seconds, means = zip(*[point for runs in points.values() for point in runs], strict=True)
    middle = math.sqrt(min(seconds) * max(seconds))
    axis.set_xscale("log")
    axis.set_xlim(min(min(seconds) / 1.15, middle / 1.4), max(max(seconds) * 1.15, middle * 1.4))
    axis.set_ylim(min(min(means) - 0.02, fmean(means) - 0.05), max(max(means) + 0.02, fmean(means) + 0.05))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.xaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axis.tick_params(axis="x", which="minor", labelsize=7)
    axis.set_xlabel("seconds to predict a case")
    axis.set_ylabel(f"mean {what}")
    axis.legend(loc="best", fontsize=8)
    told = [
        f"{each}: {fmean(x for x, _ in runs):.3g} s, {what} {fmean(y for _, y in runs):.3f}"
        for each, runs in points.items()
    ]
    return Drawing(figure, f"Mean {what} of every run against seconds per case. {listed(told)}.")


@drawing
def learning(log: "Log") -> Drawing | None:
    """Every loss term against the step, each in a panel of its own: their sizes say nothing about one another."""
    terms = sorted({term for line in log for term in line.terms})
    if not terms:
        return None
    columns = min(2, len(terms))
    lines = -(-len(terms) // columns)
    figure, axes = panels((lines, columns), (0.6 + 3.2 * columns, 0.4 + 1.9 * lines), sharex=True)
    for axis in axes[len(terms) :]:
        axis.set_visible(False)
    told = []
    for i, (axis, term) in enumerate(zip(axes, terms, strict=False)):
        known = [(line.step, line.terms[term]) for line in log if term in line.terms]
        steps, values = zip(*known, strict=True)
        axis.plot(steps, values, color=colour(i), linewidth=1.1)
        axis.set_title(named(term))
        axis.set_ylim(bottom=min(0, *values))
        told.append(f"{term} from {values[0]:.3g} to {values[-1]:.3g}")
    for axis in axes[max(0, len(terms) - columns) : len(terms)]:
        axis.set_xlabel("step")
        axis.tick_params(labelbottom=True)
    return Drawing(figure, f"Loss terms over {log[-1].step} steps. {listed(told)}.")
