"""Figures of curves: Dice against time, losses against steps."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from leaderboards.site.figures import Drawing, colour, drawing, entry, listed, log_scale, marker, named, panels
from leaderboards.site.plots import metric
from leaderboards.standing import name
from leaderboards.summary import run_means
from leaderboards.table import machine

if TYPE_CHECKING:
    from leaderboards.site.logs import Log
    from leaderboards.table import Group


def speed(groups: "Sequence[Group]", definition: str) -> dict[str, Drawing]:
    """Machine -> the mean score of every run on it against the seconds it took per case; never two machines in one.

    Groups must be of one section.
    """
    found: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for group in groups:
        for record in group.records:
            cost = record.predict
            if cost and min(cost.seconds, cost.items) > 0 and (mean := run_means([record.cases], definition)):
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
    log_scale(axis)
    axis.set_xlim(min(min(seconds) / 1.15, middle / 1.4), max(max(seconds) * 1.15, middle * 1.4))
    axis.set_ylim(min(min(means) - 0.02, fmean(means) - 0.05), max(max(means) + 0.02, fmean(means) + 0.05))
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
