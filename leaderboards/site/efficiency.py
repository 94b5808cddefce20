"""Figures of what labels are worth: the score against the share of labelled subjects, and against annotation time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from converters.files import digest
from leaderboards.site.figures import GREY, Drawing, colour, drawing, entry, listed, log_scale, marker, named, panels
from leaderboards.site.plots import metric
from leaderboards.summary import direction, run_means
from leaderboards.variants import PRESET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from leaderboards.table import Group

FULL = 100  # percent of the training subjects that the protocol `full` labels
_DIGITS = "0123456789"
_LEGEND = 60  # characters of a name: kinds of labels need words


class _Point(NamedTuple):
    kind: str  # of labels; points of several kinds are on no common line
    x: float


class _Series(NamedTuple):
    method: str
    name: str
    way: tuple[object, str]  # to train: the preset, and the network's digest
    points: dict[float, list[float]]  # place on the axis -> the mean of each run, lowest first


def percent(protocol: str) -> int | None:
    """The share of training subjects that a protocol labels densely, in %; None where it is not about that."""
    if protocol == "full":
        return FULL
    number = protocol.removeprefix("semi")
    return int(number) if number != protocol and number.isascii() and number.isdigit() and int(number) else None


@drawing
def shares(groups: "Sequence[Group]", definition: str) -> Drawing | None:
    """The mean score against the share of labelled subjects; None where no method has two shares.

    Line through the means of the runs, band from the lowest to the highest, dashed line at the best with all labels.
    Groups must be of one dataset, split and set of definitions.
    """
    series = _series(groups, definition, _share)
    if not any(len(each.points) > 1 for each in series):
        return None
    figure, (axis,) = panels((1, 1), (5.6, 4.0))
    places = sorted({share for each in series for share in each.points})
    _curves(axis, series)
    _full(axis, series, definition)
    axis.set_xscale("log")
    axis.set_xticks(places, [f"{share:g} %" for share in places])
    axis.set_xticks([], minor=True)
    _labels(axis, "labelled training subjects", definition)
    told = [f"{each.name}, {share:g} %: {fmean(each.points[share]):.3f}" for each in series for share in each.points]
    return Drawing(figure, f"Mean {metric(definition)} against the share of labelled subjects. {listed(told)}.")


@drawing
def budgets(groups: "Sequence[Group]", definition: str) -> Drawing | None:
    """The mean score against what the labels cost, whatever their kind; None where no method has two budgets of a kind.

    One line per method and kind of labels; methods with a single budget are points, to see what a method adds to the
    same labels. Records that state no minutes are left out, and those of presets and networks without a line. Groups as
    in `shares`.
    """
    ways = {each.way for each in _series(groups, definition, _hours) if len(each.points) > 1}
    series = _series([group for group in groups if _way(group) in ways], definition, _hours)
    lines = [each for each in series if len(each.points) > 1]
    if not lines:
        return None
    figure, (axis,) = panels((1, 1), (6.4, 4.6))
    _dots(axis, [each for each in series if len(each.points) == 1], direction(definition))
    _curves(axis, lines)
    log_scale(axis)
    axis.margins(x=0.12)  # room for the names
    _labels(axis, "estimated hours of annotation", definition)
    told = [f"{each.name}, {x:.3g} h: {fmean(each.points[x]):.3f}" for each in series for x in each.points]
    every = listed(told, most=len(told))
    return Drawing(figure, f"Mean {metric(definition)} against estimated hours of annotation. {every}.")


def _share(group: "Group") -> _Point | None:
    share = percent(group.section.protocol)
    return _Point("", share) if share else None


def _hours(group: "Group") -> _Point | None:
    minutes = [record.budget.minutes for record in group.records if record.budget and record.budget.minutes]
    if len(minutes) < len(group.records):
        return None
    dense = percent(group.section.protocol) is not None
    kind = "subjects" if dense else group.section.protocol.rstrip(_DIGITS)
    return _Point(f"{kind}: {group.section.annotator}", fmean(minutes) / 60)


def _series(groups: "Sequence[Group]", definition: str, place: "Callable[[Group], _Point | None]") -> list[_Series]:
    """One per method, way to train, kind of labels and draw: what a protocol varies is not part of it."""
    found: dict[tuple[str, str, str], dict[str | None, list[tuple[float, Group]]]] = defaultdict(dict)
    for group in groups:
        if point := place(group):
            lines = found[group.method, point.kind, digest([group.records[0].recipe.get("train")])]
            lines.setdefault(_draw(group), []).append((point.x, group))
    alike = Counter((method, kind) for method, kind, _ in found)
    made = []
    for (method, kind, recipe), lines in sorted(found.items(), key=lambda each: each[0]):
        whole = lines.pop(None, [])  # of all subjects, and so on the line of every draw
        for draw, members in sorted(lines.items()) or [("", [])]:
            every = [*members, *whole]
            variant = next((group.variant for _, group in every if group.variant), f"recipe {recipe[:8]}")
            name = f"{method} ({variant})" if alike[method, kind] > 1 else method
            drawn = f" ({draw or 'by hash'})" if len(lines) > 1 else ""
            if known := _known(every, definition):
                shown = ", ".join([name, *([kind] if kind else [])]) + drawn
                made.append(_Series(method, shown, _way(every[0][1]), known))
    return made


def _way(group: "Group") -> tuple[object, str]:
    recipe = group.records[0].recipe
    train = recipe.get("train")
    return recipe.get(PRESET), digest([train.get("net") if isinstance(train, Mapping) else None])


def _draw(group: "Group") -> str | None:
    """Who is labelled: a published list by name, "" where drawn by hash; None where all are."""
    return None if percent(group.section.protocol) in (None, FULL) else group.section.draw


def _known(members: "Sequence[tuple[float, Group]]", definition: str) -> dict[float, list[float]]:
    points: dict[float, list[float]] = defaultdict(list)
    for x, group in members:
        points[x] += run_means([record.cases for record in group.records], definition)
    return {x: sorted(points[x]) for x in sorted(points) if points[x]}


def _curves(axis: "Axes", series: Sequence[_Series]) -> None:
    for i, each in enumerate(series):
        places, runs = list(each.points), list(each.points.values())
        low, high = [values[0] for values in runs], [values[-1] for values in runs]
        axis.fill_between(places, low, high, color=colour(i), alpha=0.15)
        middle = [fmean(values) for values in runs]
        axis.plot(places, middle, color=colour(i), marker=marker(i), markersize=5, label=entry(each.name, _LEGEND))
        if len(places) == 1:
            axis.plot(places * 2, [*low, *high], color=colour(i), alpha=0.4)


def _dots(axis: "Axes", series: Sequence[_Series], way: int) -> None:
    """A dot for each, and the name of the best at its place, legible where lines cross it."""
    from matplotlib.patheffects import withStroke

    dots = [(x, fmean(runs), each.method) for each in series for x, runs in each.points.items()]
    if not dots:
        return
    hours, means, _ = zip(*dots, strict=True)
    axis.scatter(hours, means, s=14, color=GREY, alpha=0.6, label="methods with one budget")
    for place in sorted(set(hours)):
        x, y, name = max((dot for dot in dots if dot[0] == place), key=lambda dot: way * dot[1])
        told = axis.annotate(named(name), (x, y), xytext=(4, 3), textcoords="offset points", fontsize=7, zorder=5)
        told.set_path_effects([withStroke(linewidth=2, foreground="w")])


def _full(axis: "Axes", series: Sequence[_Series], definition: str) -> None:
    if full := [fmean(each.points[FULL]) for each in series if FULL in each.points]:
        axis.axhline(
            max(full) if direction(definition) > 0 else min(full),
            color=GREY,
            linestyle="--",
            linewidth=1,
            label="best with all labels",
        )


def _labels(axis: "Axes", what: str, definition: str) -> None:
    axis.set_xlabel(what)
    axis.set_ylabel(f"mean {metric(definition)}")
    axis.figure.legend(loc="outside lower center", fontsize=8)  # beside the points, which may be anywhere
