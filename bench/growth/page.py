"""growth.json -> the page and its drawing: tables of exponents, a column of panels for each stage."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.growth.fit import beyond, exponent
from bench.growth.sizes import FACTORS
from bench.growth.stages import STAGES
from bench.growth.sweep import REPEATS, Growth, Point
from leaderboards.change import grid
from leaderboards.site.figures import GREY, Drawing, colour, drawing, listed, marker, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMMAND = "make growth"
COLUMNS = ("stage", "grows", "from", "to", "1x", "16x", "exponent", "beyond a constant")
NOISE = 8.0  # MiB: a rise below it is noise of the allocator
ABOVE = 1.15  # an exponent that is told as worse than linear
HELD = 0.25  # an exponent of memory in cases that is told
_WANTED = {"time": ("cases", "volume", "records"), "memory": ("cases", "records")}


def page(growth: Growth) -> str:
    """growth.md."""
    return "\n".join([*_head(growth), *_table(growth, "time"), *_table(growth, "memory"), *_findings(growth)]) + "\n"


def _head(growth: Growth) -> Iterator[str]:
    machine, code = growth.machine, growth.code
    yield from ("# How cost grows", "", f"Made by `{COMMAND}` from `growth.json`; never edited.", "")
    yield (
        "Made-up data only, of "
        + ("small" if growth.scale == "full" else "the smallest")
        + (
            " sizes: how a cost grows says where it goes, the seconds themselves say little. "
            f"{machine['cpu']}, {machine['cores']} cores, {machine.get('memory_gib', '?')} GiB, load at the start "
            f"{machine.get('load', '?')}, one thread; Python {machine['python']}, torch {code.get('torch', '?')}, "
            f"numpy {code.get('numpy', '?')}. Other work may have run beside."
        )
    )
    yield ""
    yield (
        "Every point is measured in a fresh process: the median time of "
        f"{REPEATS[growth.scale]} repeats (a training: the median of the steps after the first three), and the largest "
        "resident memory above that after a rehearsal with next to nothing, mapped files included. Time holds what "
        "does not grow, such as loading a model. Two exponents k are told:"
    )
    yield ""
    yield "- *exponent*: cost = b x^k, least squares of logarithms over 4x, 8x and 16x; a constant makes it too small."
    yield "- *beyond a constant*: cost = a + b x^k through 1x, 4x and 16x; `-` where the cost does not rise steadily."
    yield ""
    for name, stage in STAGES.items():
        yield f"- {name}: {stage.says}"
    yield from ("", "![time and memory against size](growth.svg)", "")


def _table(growth: Growth, what: str) -> list[str]:
    rows = [_row(series, what) for series in _series(growth)]
    return [f"## {'Seconds' if what == 'time' else 'Peak memory, MiB'}", "", *grid(COLUMNS, rows), ""]


def _row(series: list[Point], what: str) -> tuple[str, ...]:
    first, last = series[0], series[-1]
    costs = _costs(series, what)
    exponents = _exponents(series, what)
    return (
        first.stage,
        first.axis,
        str(first.amount),
        str(last.amount),
        *(f"{cost:.3g}" for cost in (costs[0], costs[-1])),
        *(["flat", "-"] if exponents is None else ["-" if k is None else f"{k:.2f}" for k in exponents]),
    )


def _exponents(series: list[Point], what: str) -> tuple[float | None, float | None] | None:
    """Without and with a constant; None where memory does not rise."""
    sizes, costs = [point.amount for point in series], _costs(series, what)
    if what == "memory" and costs[-1] - costs[0] < NOISE:
        return None
    return exponent(sizes, costs), beyond(sizes, costs)


def _findings(growth: Growth) -> Iterator[str]:
    """What a reader should know without doing sums."""
    yield from ("## Worse than it should be", "")
    found = []
    for what, axes in _WANTED.items():
        limit = ABOVE if what == "time" else HELD
        for series in _series(growth):
            exponents = _exponents(series, what)
            if series[0].axis in axes and exponents and any(k is not None and k > limit for k in exponents):
                told = " and ".join("-" if k is None else f"{k:.2f}" for k in exponents)
                found.append(f"- {what} of {series[0].stage} in {series[0].axis}: {told}")
    yield f"Exponents of time in cases, voxels or records above {ABOVE}; of memory in cases or records above {HELD}:"
    yield ""
    yield from found or ["- none"]


def _series(growth: Growth) -> Iterator[list[Point]]:
    for name, stage in STAGES.items():
        for axis in stage.axes:
            if series := growth.series(name, axis):
                yield series


def _costs(series: list[Point], what: str) -> list[float]:
    return [point.seconds if what == "time" else point.mib for point in series]


@drawing
def draw(growth: Growth) -> Drawing | None:
    """Time above, memory below, a column a stage, both axes logarithmic; None where nothing is measured."""
    names = [name for name in STAGES if any(point.stage == name for point in growth.points)]
    if not names:
        return None
    figure, axes = panels((2, len(names)), (0.8 + 2.3 * len(names), 5.0), sharex=True)
    for column, name in enumerate(names):
        lines = [series for series in _series(growth) if series[0].stage == name]
        for row, what in enumerate(("time", "memory")):
            _panel(axes[row * len(names) + column], lines, what)
        axes[column].set_title(name)
        axes[len(names) + column].set_xlabel("times as large")
        axes[column].legend(loc="upper left", fontsize=7)
    axes[0].set_ylabel("seconds")
    axes[len(names)].set_ylabel("peak memory, MiB")
    told = []
    for series in _series(growth):
        k = exponent([point.amount for point in series], _costs(series, "time"))
        told += [] if k is None else [f"{series[0].stage} in {series[0].axis}: {k:.2f}"]
    return Drawing(figure, f"Time and memory of every stage against size. Exponents of time: {listed(told, 20)}.")


def _panel(axis: "Axes", lines: list[list[Point]], what: str) -> None:
    for i, series in enumerate(lines):
        factors = [point.factor for point in series]
        costs = [max(cost, 0.1 if what == "memory" else 1e-6) for cost in _costs(series, what)]
        axis.plot(factors, costs, color=colour(i), marker=marker(i), markersize=4, linewidth=1.2, label=series[0].axis)
    low = min(max(cost, 0.1) if what == "memory" else cost for series in lines for cost in _costs(series, what)[:1])
    axis.plot(FACTORS, [low * factor for factor in FACTORS], color=GREY, linestyle=":", linewidth=1)
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    axis.set_xticks(FACTORS, [f"{factor}x" for factor in FACTORS])
    for each in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        each(lambda value, _: f"{value:g}")
    axis.tick_params(axis="y", which="both", labelsize=7)
