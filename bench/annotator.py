"""The contract of an annotator, `find(name)` and who draws: an annotator is one file of `bench/annotators/`.

From a case's reference to what training may see, as a pure function; 255 is "not annotated". `docs/protocols.md`
defines each with its version. In-plane means across the slice axis; lengths are mm where nothing else is said.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from bench import annotators
from bench.protocols import Protocol
from converters import shelf
from converters.dataset import IGNORE, Dataset
from converters.description import AnnotationSet, Kind, Origin
from converters.errors import BenchError

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


def who_draws(dataset: Dataset, protocol: Protocol) -> tuple[str, AnnotationSet | None]:
    """The annotator, and the expert set where it is that; reads no file.

    Raises:
        BenchError: an expert is asked for and there is none, or there are too few structures for who draws.
    """
    annotator, expert = _annotator(dataset, protocol)
    there, needed = len(dataset.labels), find(annotator).structures
    if there < needed:
        raise BenchError(
            f"{dataset.name} has too few structures for annotator '{annotator}': {there}, and it needs {needed}",
            where=dataset.root,
            mend="take another annotator or protocol (docs/protocols.md), or a dataset with more structures",
        )
    if (count := int(protocol.options.get("count", there))) > there:
        raise BenchError(
            f"annotator '{annotator}' cannot show {count} structures: {dataset.name} has {there}, "
            + ", ".join(dataset.labels),
            where=dataset.root,
            mend=f"--protocol classes{there}, or fewer",
        )
    return annotator, expert


def _annotator(dataset: Dataset, protocol: Protocol) -> tuple[str, AnnotationSet | None]:
    if protocol.annotator not in ("expert", "expert-else-scribble"):
        return protocol.annotator, None
    sets = dataset.file.bench.annotation_sets
    expert = next((one for one in sets if one.kind == "scribble" and one.origin == "expert"), None)
    if expert is not None:
        return "expert", expert
    if protocol.annotator == "expert":
        here = ", ".join(f"{one.id} ({one.kind}, {one.origin})" for one in sets)
        raise BenchError(
            f"{dataset.name} has no expert scribbles; annotation sets: {here or 'none'}",
            where=dataset.root,
            mend="leave --annotator out: the scribbles are then simulated, and the row says so",
        )
    return "scribble", None
