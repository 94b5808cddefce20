"""What a profile scores, two masks as they lie in their image; `find(name)`: one file of `bench/profiles/` each."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

import numpy as np

from bench import profiles
from bench.distances import Distances, Mask, between
from bench.surface import Pair, Status, bounding_box
from converters import shelf
from converters.errors import unknown_name

Values = dict[str, float | None]  # definition id -> value


@dataclasses.dataclass(frozen=True)
class Masks:
    """One structure in one case, cut to the box around both masks.

    Shape: the masks are bool, axes in NIfTI order, those of length 1 dropped.
    `at_edge` says for both ends of each axis whether the box ends where the image ends: rules differ in what they
    take to lie outside the image, and agree that between box and edge there is background.
    """

    reference: Mask
    prediction: Mask
    spacing: tuple[float, ...]
    at_edge: tuple[tuple[bool, bool], ...]
    diagonal_mm: float
    status: Status
    tolerances_mm: tuple[float, ...]

    @property
    def slice_axis(self) -> int | None:
        """The axis of largest spacing, the last of equals; None for a 2D image, which is one slice."""
        axes = range(len(self.spacing))
        return max(axes, key=lambda axis: (self.spacing[axis], axis)) if len(axes) > 2 else None

    @property
    def volumes(self) -> tuple[int, int, int]:
        """Voxels of the reference, of the prediction, and of both."""
        both = self.reference & self.prediction
        g, p, tp = (int(np.count_nonzero(mask)) for mask in (self.reference, self.prediction, both))
        return g, p, tp

    @property
    def dice(self) -> float | None:
        """2 tp / (V_g + V_p); None where both are empty."""
        g, p, tp = self.volumes
        return 2 * tp / (g + p) if g + p else None

    @property
    def volume_error(self) -> float | None:
        """|V_g - V_p| / V_g; None where the reference is empty."""
        g, p, _ = self.volumes
        return abs(g - p) / g if g else None

    def distances(
        self, border: Callable[[Mask], Mask], spacing: Sequence[float] | None = None
    ) -> tuple[Distances, Distances] | None:
        """Sorted distances from the reference's border to the prediction's, and back; None where one has no border."""
        if self.status != "ok":
            return None
        border_g, border_p = border(self.reference), border(self.prediction)
        # A mask that fills an image without edge is not empty and has no border.
        return between(border_g, border_p, spacing or self.spacing) if border_g.any() and border_p.any() else None

    def closed(self, border: Callable[[Mask], Mask]) -> Callable[[Mask], Mask]:
        """The border rule for an image that goes on outside as it ends: its edge is no border of any mask."""

        def rule(mask: Mask) -> Mask:
            framed = np.ones([length + 2 for length in mask.shape], dtype=bool)
            sides = zip(self.at_edge, framed.shape, strict=True)
            framed[tuple(slice(int(low), length - int(high)) for (low, high), length in sides)] = False
            box = (slice(1, -1),) * mask.ndim
            framed[box] = mask
            return border(framed)[box]

        return rule


class Profile(Protocol):
    """A file of `bench/profiles/`."""

    def values(self, masks: Masks) -> Values:
        """Every number of the profile: `<profile>.<name>:v<version>` -> value, None where its rules give none."""


def names() -> list[str]:
    """Every profile, which is every file of `bench/profiles/`."""
    return shelf.stems(profiles)


def named(typed: Iterable[str]) -> tuple[str, ...]:
    """The profiles a person means, each once; a hyphen stands for an underscore.

    Raises:
        UsageError: there is none of a name; says which is nearest.
    """
    known, found = names(), [name.replace("-", "_") for name in typed]
    for name in found:
        if name not in known:
            raise unknown_name("profile", name, known)
    return tuple(dict.fromkeys(found))


def find(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    return cast(Profile, shelf.module(profiles, "profile", named([name])[0]))


def evaluate(chosen: Iterable[str], masks: Masks) -> Values:
    """The numbers of several profiles."""
    found: Values = {}
    for name in chosen:
        found |= find(name).values(masks)
    return {definition: None if value is None else float(value) for definition, value in found.items()}


def cut(pair: Pair, codes: Iterable[int], status: Status, tolerances_mm: Sequence[float]) -> Masks:
    """One structure of a pair of label maps."""
    table = np.isin(np.arange(256), list(codes))
    # A pair holds its axes in reverse.
    g, p = (table[labels].T for labels in (pair.reference, pair.prediction))
    box = bounding_box(g | p)
    offsets = zip(box, reversed(pair.origin), reversed(pair.shape), strict=True)
    edges = tuple((side.start + start == 0, side.stop + start == length) for side, start, length in offsets)
    return Masks(g[box], p[box], pair.spacing[::-1], edges, pair.diagonal_mm, status, tuple(tolerances_mm))
