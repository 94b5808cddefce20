"""How figures look and how they are saved: the same data give the same bytes of SVG and PNG."""

import contextlib
import functools
import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec

from leaderboards.escape import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

# Okabe and Ito: told apart by most colour-blind people. Without the yellow, which is too pale for a thin line.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
GREY = "#6b7280"
DPI = 150
LONGEST = 40  # characters of a name in a figure
WORDS = 20_000  # characters of what a figure says in words
_LOOK: dict[str, Any] = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.constrained_layout.use": True,
    "font.size": 9,
    "grid.color": "#e5e7eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "path",  # the same everywhere, and no text that a reader's fonts could move
    "svg.hashsalt": "frugalseg",
    "text.parse_math": False,  # a name with two dollars is a name
}


class Drawing(NamedTuple):
    """A figure and what it says in words, for those who cannot see it."""

    figure: "Figure"
    alt: str


class Files(NamedTuple):
    """A drawing as bytes."""

    svg: bytes
    png: bytes


def drawing(draw: Callable[P, Drawing | None]) -> Callable[P, Drawing | None]:
    """Let a function draw in the look of this suite, whatever matplotlib was told elsewhere."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Drawing | None:
        with _look():
            return draw(*args, **kwargs)

    return styled


@contextlib.contextmanager
def _look() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # A letter that the font lacks is drawn as a box; there is nothing a reader of the terminal could do.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def panels(
    shape: tuple[int, int], size: tuple[float, float], *, sharex: bool = False, sharey: bool = False
) -> tuple["Figure", list["Axes"]]:
    """An empty figure of rows x columns axes, in inches, without the global state of pyplot; axes row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.subplots(*shape, squeeze=False, sharex=sharex, sharey=sharey)
    return figure, list(axes.flat)


def log_scale(axes: "Axes") -> None:
    """A logarithmic x axis with plain numbers at 1, 2, 3 and 5 of every decade: formulas are not set here."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def save(drawn: Drawing, title: str) -> Files:
    """SVG and PNG of a drawing, without date and without the version of any program; the SVG says its words, too."""
    svg, png = io.BytesIO(), io.BytesIO()
    with _look():
        about = {"Date": None, "Creator": None, "Title": named(title, 200), "Description": named(drawn.alt, WORDS)}
        drawn.figure.savefig(svg, format="svg", metadata=about)
        drawn.figure.set_layout_engine("none")  # what has found its place stays there
        drawn.figure.savefig(png, format="png", dpi=DPI, metadata={"Software": None})
    return Files(svg.getvalue(), png.getvalue())


def named(text: str, longest: int = LONGEST) -> str:
    """A name that may stand in a figure."""
    return visible(text, longest)


def entry(text: str, longest: int = LONGEST) -> str:
    """A name for a legend, which leaves out whatever is empty or starts with an underscore."""
    shown = named(text, longest)
    return f" {shown}" if shown[:1] in {"", "_"} else shown


def colour(index: int) -> str:
    """The colour of the n-th series."""
    return PALETTE[index % len(PALETTE)]


def marker(index: int) -> str:
    """The marker of the n-th series: beside the colour, for prints without one."""
    return MARKERS[index % len(MARKERS)]


def listed(parts: Sequence[str], most: int = 12) -> str:
    """The parts of a description in words; only so many of them."""
    shown = "; ".join(parts[:most])
    return shown if len(parts) <= most else f"{shown}; and {len(parts) - most} more"
