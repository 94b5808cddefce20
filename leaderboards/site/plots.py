"""Figures of scores: what each case got, and where each row ranks."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from leaderboards import tasks
from leaderboards.site.figures import GREY, Drawing, colour, drawing, listed, marker, named, panels
from leaderboards.standing import name
from leaderboards.summary import counted, family, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaderboards.standing import Standing
    from leaderboards.table import Group

_PANELS = 24  # labels in a figure; hundreds would take minutes to lay out, and nobody reads them
_GOLDEN = 0.618034  # multiples of it, taken modulo 1, fill a band evenly
_TITLES = {"dice": "Dice", "iou": "IoU", "nsd": "NSD"}
_UNITS = {"hd": "mm", "hd95": "mm", "assd": "mm", "masd": "mm", "ravd": "%"}


class _Cases(NamedTuple):
    values: list[float]
    failed: list[float]  # of cases that were missed, false or invalid in any repeat


class Column(NamedTuple):
    """One panel of a figure of ranks: where the rows of a section stand."""

    title: str
    standings: Mapping[str, "Standing"]  # by the name of the row


def metric(definition: str) -> str:
    """A definition as the label of an axis."""
    if of_task := tasks.title(definition):
        return of_task
    kind, unit = family(definition), _UNITS.get(family(definition), "")
    title = short(definition).replace(kind, _TITLES.get(kind, kind.upper()), 1)
    return f"{title} ({unit})" if unit else title


@drawing
def boxes(groups: "Sequence[Group]", definition: str) -> Drawing | None:
    """A box and a point per case for every row of a section, a panel per label; None where nothing has a value.

    A case counts as in the tables, and as the mean of its repeats: box from quartile to quartile, whiskers to the last
    value within 1.5 times that. A cross marks a case in which the structure was missed, false or not predicted.
    """
    labels = list(dict.fromkeys(s.label for group in groups for record in group.records for s in record.cases))
    found = {label: [_cases(group, label, definition) for group in groups] for label in labels}
    known = [label for label in labels if any(cases.values for cases in found[label])]
    shown = known[:_PANELS]
    if not shown:
        return None
    columns = 2 if len(shown) == 4 else min(3, len(shown))
    lines = -(-len(shown) // columns)
    size = (1.7 + 2.4 * columns, lines * (0.8 + 0.42 * len(groups)))
    figure, axes = panels((lines, columns), size, sharey=True, sharex=True)
    for axis in axes[len(shown) :]:
        axis.set_visible(False)
    for axis, label in zip(axes, shown, strict=False):
        axis.set_title(named(label, 28))
        for i, cases in enumerate(found[label]):
            _box(axis, i, cases)
    _names(axes, [name(group) for group in groups])
    for axis in axes[max(0, len(shown) - columns) : len(shown)]:
        axis.set_xlabel(metric(definition))
        axis.tick_params(labelbottom=True)
    told = [
        f"{name(group)}, {label}: median {_median(found[label][i].values):.3g} of {len(found[label][i].values)} cases"
        for label in shown
        for i, group in enumerate(groups)
        if found[label][i].values
    ]
    which = "one panel per label" if shown == known else f"the first {len(shown)} of {len(known)} labels"
    return Drawing(figure, f"{metric(definition)} of every test case, {which}. {listed(told)}.")


def _cases(group: "Group", label: str, definition: str) -> _Cases:
    found: dict[str, list[float]] = defaultdict(list)
    failed = set()
    for record in group.records:
        for score in record.cases:
            if score.label == label and (value := counted(score, definition)) is not None:
                found[score.case].append(value)
                failed |= {score.case} if score.status != "ok" else set()
    means = {case: fmean(values) for case, values in found.items()}
    return _Cases(sorted(means.values()), sorted(means[case] for case in failed))


def _box(axis: "Axes", y: int, cases: _Cases) -> None:
    import numpy as np

    values = np.array(cases.values)
    if not len(values):
        return
    q1, median, q3 = np.quantile(values, (0.25, 0.5, 0.75))
    inside = values[(values >= q1 - 1.5 * (q3 - q1)) & (values <= q3 + 1.5 * (q3 - q1))]
    offsets = ((np.arange(len(values)) * _GOLDEN) % 1 - 0.5) * 0.5
    axis.plot([inside.min(), q1], [y, y], color=GREY, linewidth=1)
    axis.plot([q3, inside.max()], [y, y], color=GREY, linewidth=1)
    axis.barh(y, q3 - q1, 0.6, left=q1, facecolor=colour(y), alpha=0.22, edgecolor="none")
    axis.plot([median, median], [y - 0.3, y + 0.3], color=colour(y), linewidth=2)
    axis.scatter(values, y + offsets, s=7, color=colour(y), alpha=0.65, linewidths=0, zorder=3)
    if cases.failed:
        axis.scatter(cases.failed, [y] * len(cases.failed), s=28, marker="x", color="black", linewidths=1, zorder=4)


def _median(values: Sequence[float]) -> float:
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def _names(axes: "Sequence[Axes]", names: Sequence[str]) -> None:
    """Rows from top to bottom, named at the left of a figure whose panels share them."""
    axes[0].set_yticks(range(len(names)), [named(each) for each in names])
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    for axis in axes:
        axis.grid(visible=False, axis="y")
        axis.tick_params(axis="y", length=0)


@drawing
def ranks(columns: Sequence[Column], what: str) -> Drawing | None:
    """The rank of every row in every section, with its 95 % interval; None where no section ranks anything.

    A row that a section does not have leaves a gap there.
    """
    columns = [column for column in columns if column.standings]
    if not columns:
        return None
    means: dict[str, list[int]] = defaultdict(list)
    for column in columns:
        for each, standing in column.standings.items():
            means[each].append(standing.rank)
    names = sorted(means, key=lambda each: (fmean(means[each]), each))
    size = (1.9 + 2.2 * len(columns), 0.8 + 0.3 * len(names))
    figure, axes = panels((1, len(columns)), size, sharey=True)
    for axis, column in zip(axes, columns, strict=True):
        _ranked(axis, column, names)
    _names(axes, names)
    axes[0].set_xlabel(what)
    told = [
        f"{column.title}: {each} {found.rank} [{found.low} to {found.high}]"
        for column in columns
        for each in names
        if (found := column.standings.get(each))
    ]
    return Drawing(figure, f"{what} with 95 % intervals. {listed(told)}.")


def _ranked(axis: "Axes", column: Column, names: Sequence[str]) -> None:
    axis.set_title(named(column.title, 28))
    for y, each in enumerate(names):
        if found := column.standings.get(each):
            axis.plot([found.low, found.high], [y, y], color=colour(y), linewidth=2.5, alpha=0.45)
            axis.plot([found.rank], [y], marker=marker(y), color=colour(y), markersize=6, linestyle="none")
    last = max(len(column.standings), 2)
    axis.set_xlim(0.6, last + 0.4)
    step = max(1, last // 6)
    axis.set_xticks(range(1, last + 1, step))
