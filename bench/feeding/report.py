"""What the comparison of routes came to: a table, a page, a drawing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.feeding.measure import Fed
from converters.files import Strict
from leaderboards.change import grid
from leaderboards.site.figures import GREY, Drawing, colour, drawing, listed, log_scale, panels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (
    "route",
    "samples/s",
    "quartiles",
    "times",
    "prepare s",
    "first batch s",
    "peak MiB",
    "disk MiB",
    "page cache",
)
NAMES = {"memory": "memory", "pack": "packed cache", "records": "record file", "generator": "generator"}


class Comparison(Strict):
    """io.json: the same samples fed in several ways, on one machine, in one go."""

    dataset: str
    content_sha256: str
    cases: int
    patch: tuple[int, ...]
    batch: int
    command: str
    machine: dict[str, str]
    code: dict[str, str]
    rounds: int
    seconds: float  # of a round
    routes: tuple[Fed, ...]
    format: int = 1


def rows(made: Comparison) -> list[tuple[str, ...]]:
    """One line a route; `times` is against the slowest one."""
    slowest = min(one.median for one in made.routes)
    return [
        (
            NAMES[one.route],
            _rate(one.median),
            " to ".join(map(_rate, one.quartiles)),
            f"{one.median / slowest:.3g}",
            f"{one.prepare_s:.2f}{' (found)' if one.reused else ''}",
            f"{one.first_batch_s:.3f}",
            f"{one.peak_mib:.0f}",
            f"{one.disk_mib:.1f}",
            one.page_cache,
        )
        for one in made.routes
    ]


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def notes(made: Comparison) -> list[str]:
    """What has to be said below the table."""
    first, machine = made.routes[0], made.machine
    start = sum(one.start_mib for one in made.routes) / len(made.routes)
    return [
        f"{first.samples} samples of {made.cases} cases, patch {' x '.join(map(str, made.patch))}, batch {made.batch}; "
        f"median of {made.rounds} rounds of {made.seconds:g} s; no augmentation, no network.",
        f"Before the clocks ran, {min(made.batch, first.samples)} samples were compared: every route gives the same.",
        f"Each route in a process of its own, of which python and torch alone hold {start:.0f} MiB; pages of mapped "
        "files count in the peak, though the system may take them back. Disk: beside the dataset.",
        "warm: what is read has been read or written just before, and fits the page cache.",
        f"{machine.get('cpu', '?')}, {machine.get('cores', '?')} cores, {machine.get('memory_gib', '?')} GiB, load "
        f"{machine.get('load', '?')}; torch {made.code.get('torch', '?')}, numpy {made.code.get('numpy', '?')}.",
    ]


def page(made: Comparison) -> str:
    """io.md."""
    lines = [f"# Feeding {made.dataset}", "", f"Made by `{made.command}`.", "", *grid(COLUMNS, rows(made)), ""]
    return "\n".join([*lines, *(f"- {note}" for note in notes(made)), "", "![the same, drawn](io.svg)", ""])


@drawing
def draw(made: Comparison) -> Drawing | None:
    """Four panels with a bar for each route: samples/s, seconds until the first batch, memory, disk."""
    figure, axes = panels((1, 4), (11, 0.9 + 0.4 * len(made.routes)), sharey=True)
    routes = made.routes
    medians = [one.median for one in routes]
    _bars(axes[0], "samples per second", medians)
    for y, one in enumerate(routes):
        axes[0].plot(one.quartiles, [y, y], color="black", linewidth=1)
    log_scale(axes[0])
    axes[0].set_xlim(min(medians) / 3, max(medians) * 3)
    _bars(axes[1], "seconds until the first batch", [one.prepare_s + one.first_batch_s for one in routes])
    _bars(axes[2], "peak memory, MiB", [one.peak_mib for one in routes])
    for y, one in enumerate(routes):
        axes[2].plot([one.start_mib] * 2, [y - 0.3, y + 0.3], color=GREY, linewidth=1.5)
    _bars(axes[3], "disk, MiB", [one.disk_mib for one in routes])
    axes[0].set_yticks(range(len(routes)), [NAMES[one.route] for one in routes])
    axes[0].set_ylim(len(routes) - 0.5, -0.5)
    told = [
        f"{NAMES[one.route]}: {one.median:.3g} samples/s, {one.prepare_s + one.first_batch_s:.3g} s" for one in routes
    ]
    return Drawing(figure, f"Samples per second and seconds until the first batch of each route. {listed(told)}.")


def _bars(axis: "Axes", title: str, values: Sequence[float]) -> None:
    axis.set_title(title)
    axis.barh(range(len(values)), values, 0.6, color=[colour(y) for y in range(len(values))], alpha=0.8)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
