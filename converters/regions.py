"""Structures that overlap, as codes: every overlap has a code of its own, a structure is the region of its codes."""

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError

Mask = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint8]
Overlap = tuple[str, ...]  # names of two structures or more, in the order of the structures


@dataclasses.dataclass(frozen=True)
class Regions:
    """Which code stands for which structures at one place: each alone from 1, then the overlaps, in their order."""

    structures: tuple[str, ...]
    overlaps: tuple[Overlap, ...] = ()

    @classmethod
    def of(cls, structures: tuple[str, ...], certain: Iterable[Overlap], found: Iterable[Overlap]) -> "Regions":
        """The coding of a collection.

        Args:
            structures: at most sixteen.
            certain: overlaps that always have a code, in the order given.
            found: those that the masks hold; what is not certain comes after, fewer structures first, then in the
                order of the structures, whatever order they were found in.
        """
        known = dict.fromkeys(cls(structures).ordered(overlap) for overlap in certain)
        further = {cls(structures).ordered(overlap) for overlap in found} - known.keys()

        def place(names: Overlap) -> tuple[int, list[int]]:
            return len(names), [structures.index(name) for name in names]

        return cls(structures, (*known, *sorted(further, key=place)))

    @cached_property
    def combinations(self) -> tuple[Overlap, ...]:
        """The structures at a place, for each code from 1."""
        return (*((name,) for name in self.structures), *self.overlaps)

    @property
    def labels(self) -> dict[str, int | tuple[int, ...]]:
        """Each structure's codes, its own first; a plain code where nothing overlaps it. With background."""
        codes = {
            name: tuple(code for code, names in enumerate(self.combinations, start=1) if name in names)
            for name in self.structures
        }
        return {"background": 0, **{name: found if len(found) > 1 else found[0] for name, found in codes.items()}}

    def ordered(self, names: Iterable[str]) -> Overlap:
        """The names in the order of the structures."""
        return tuple(sorted(set(names), key=self.structures.index))

    def present(self, masks: Mapping[str, Mask]) -> set[Overlap]:
        """Every overlap that the masks of a case hold."""
        patterns = np.flatnonzero(np.bincount(self._patterns(masks).ravel(order="K"))).tolist()
        return {names for names in map(self._names, patterns) if len(names) > 1}

    def encode(self, masks: Mapping[str, Mask]) -> Codes:
        """The masks of a case as one map of codes.

        Shape: all masks alike.

        Raises:
            BenchError: they hold an overlap that has no code.
        """
        patterns = self._patterns(masks)
        table = np.zeros(1 << len(self.structures), np.uint8)
        for code, names in enumerate(self.combinations, start=1):
            table[sum(1 << self.structures.index(name) for name in names)] = code
        codes: Codes = table[patterns]
        if (strange := (codes == 0) & (patterns > 0)).any():
            told = " and ".join(self._names(int(patterns[strange][0])))
            raise BenchError(f"{told} overlap in {int(strange.sum())} pixels, and this overlap has no code")
        return codes

    def decode(self, codes: Codes) -> dict[str, Mask]:
        """The mask of each structure."""
        return {
            name: np.isin(codes, [code for code, names in enumerate(self.combinations, start=1) if name in names])
            for name in self.structures
        }

    def _patterns(self, masks: Mapping[str, Mask]) -> npt.NDArray[np.uint16]:
        """Which structures lie at each place, a bit for each."""
        patterns = np.zeros_like(masks[self.structures[0]], np.uint16)  # laid out as the mask is, which is fast
        for bit, name in enumerate(self.structures):
            patterns |= masks[name].astype(np.uint16) << np.uint16(bit)
        return patterns

    def _names(self, pattern: int) -> Overlap:
        return tuple(name for bit, name in enumerate(self.structures) if pattern >> bit & 1)
