"""The contract of an annotator, and `find(name)`: an annotator is one file of `bench/annotators/`.

From a case's reference to what training may see, as a pure function; 255 is "not annotated". `docs/protocols.md`
defines each with its version. In-plane means across the slice axis; lengths are mm where nothing else is said.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from bench import annotators
from converters import shelf
from converters.dataset import IGNORE
from converters.description import Kind, Origin

LabelMap = npt.NDArray[np.uint8]  # (X, Y, Z), RAS+


@dataclasses.dataclass(frozen=True)
class Given:
    """One case as an annotator gets it.

    Shape: both label maps (X, Y, Z) RAS+. The generators belong to this case alone, so that the result depends on no
    other case. Only their `random` is drawn from, the stream that numpy is least likely ever to change.
    """

    label: LabelMap  # the reference; all 255 where there is none
    expert: LabelMap | None  # the dataset's expert scribbles
    spacing: tuple[float, float, float]
    slice_axis: int
    rng: np.random.Generator
    options: Mapping[str, float]
    seed: int = 0  # of the case

    @property
    def plane_spacing(self) -> tuple[float, float]:
        """Spacing of the two axes of a slice."""
        first, second = (s for axis, s in enumerate(self.spacing) if axis != self.slice_axis)
        return first, second

    @property
    def severity(self) -> float:
        """What lengths and shares of noise are multiplied by."""
        return self.options.get("severity", 1.0)

    def stream(self, *place: int) -> np.random.Generator:
        """A generator for one place in the case, such as a slice and a class: no other place moves what it draws."""
        return np.random.default_rng([self.seed, *place])

    def between(self, name: str, rng: np.random.Generator | None = None) -> float:
        """A uniform draw between the options `<name>_low` and `<name>_high`."""
        low, high = self.options[f"{name}_low"], self.options[f"{name}_high"]
        return low + (high - low) * (rng or self.rng).random()


Draw = Callable[[Given], LabelMap]


@dataclasses.dataclass(frozen=True)
class Annotator:
    """A way to draw, and what its label maps are called."""

    draw: Draw
    kind: Kind
    origin: Origin | None  # None: that of the label it works from
    told: str  # in records and tables
    structures: int = 1  # a dataset with fewer is refused
    unit: str = ""  # what its labour is counted in (bench/budget.py); "": what its kind is counted in

    def __call__(self, given: Given) -> LabelMap:
        """The label map that this annotator draws; noise stays 255 where the reference is."""
        drawn = self.draw(given)
        return np.where(given.label == IGNORE, np.uint8(IGNORE), drawn) if self.kind == "noisy" else drawn


def annotator(
    kind: Kind, origin: Origin | None, told: str = "", *, structures: int = 1, unit: str = ""
) -> Callable[[Draw], Annotator]:
    """Make a function the annotator of its file; `told` is "<origin> <kind>" when not given."""
    return lambda draw: Annotator(draw, kind, origin, told or f"{origin} {kind}", structures, unit)


def names() -> list[str]:
    """Every annotator, which is every file of `bench/annotators/`."""
    return shelf.stems(annotators)


def find(name: str) -> Annotator:
    """The annotator of that name: what the file of that name calls so.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    found: Annotator = getattr(shelf.module(annotators, "annotator", name), name)
    return found
