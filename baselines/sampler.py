"""Batches as a pure function of (seed, step): resuming is exact, and no process but this one draws numbers."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from baselines.ahead import at
from baselines.batch import Samples
from baselines.cache import Extent, Prepared
from baselines.config import TrainConfig
from baselines.crops import Place, place, taken
from converters.dataset import IGNORE
from converters.errors import BenchError, UsageError, unknown_name

Item = tuple[int, int]  # case, slice; the slice is 0 where samples are volumes
# What a share of a batch may be drawn from, and what takes its place where a view has no such case.
_INSTEAD = {"labelled": "unlabelled", "unlabelled": "labelled", "trusted": "untrusted", "untrusted": "trusted"}


@dataclasses.dataclass(frozen=True)
class Draw:
    """What a batch is made of, in numbers: of each sample the case, as an index, and the place in it."""

    case: tuple[int, ...]
    places: tuple[Place, ...]
    step: int

    def only(self, rows: Sequence[int]) -> "Draw":
        """Some of the samples, by number."""
        return Draw(tuple(self.case[row] for row in rows), tuple(self.places[row] for row in rows), self.step)


class Sampler:
    """Which samples a step sees. Each pool is walked in a fresh random order per pass, without repeats."""

    def __init__(
        self, cases: Sequence[Prepared], config: TrainConfig, composition: Mapping[str, int], seed: int
    ) -> None:
        """Find what each share of a batch is drawn from.

        Raises:
            UsageError: there is no share of such a name, or the batch is smaller than their number.
            BenchError: there is no case.
        """
        for name in composition:
            if name not in _INSTEAD:
                raise unknown_name("share of a batch", name, _INSTEAD)
        if not cases:
            raise BenchError("there is no case to draw samples from", mend="a view or dataset that holds one")
        self.cases = cases
        self.config = config
        self.seed = seed
        pools = self._pools()
        self.shares = [
            (pools[name] or pools[_INSTEAD[name]], share)
            for name, share in zip(composition, shares(config.batch, composition), strict=True)
        ]
        self._orders: dict[tuple[int, int], npt.NDArray[np.int64]] = {}

    def __call__(self, step: int) -> Samples:
        """The batch of this step, gathered on the host."""
        return gather(self.cases, self.draw(step), self.config.patch)

    def draw(self, step: int) -> Draw:
        """What the batch of this step is made of. Reads no voxel but those that say where foreground lies."""
        items = [
            pool[self._order(index, len(pool), position // len(pool))[position % len(pool)]]
            for index, (pool, share) in enumerate(self.shares)
            for position in range(step * share, (step + 1) * share)
        ]
        rng = np.random.default_rng([self.seed, step])
        places = []
        for case, z in items:
            at(f"step {step}, case {self.cases[case].id}")
            places.append(place(self.cases[case], z, self.config, rng))
        return Draw(case=tuple(case for case, _ in items), places=tuple(places), step=step)

    def annotated(self, draw: Draw) -> tuple[bool, ...]:
        """Which samples hold an annotated voxel. Looks into targets only where a sample is annotated in parts."""
        return tuple(self._annotated(self.cases[case], here) for case, here in zip(draw.case, draw.places, strict=True))

    def _annotated(self, case: Prepared, here: Place) -> bool:
        flat = len(self.config.patch) == 2
        known = case.extent[here.slice : here.slice + 1] if flat else case.extent
        if (known == known[0]).all() and known[0] != Extent.SOME:
            return bool(known[0] == Extent.ALL)
        return bool((taken(case, here, self.config.patch)[1] != IGNORE).any())

    def _pools(self) -> dict[str, list[Item]]:
        pools: dict[str, list[Item]] = {name: [] for name in _INSTEAD}
        for index, case in enumerate(self.cases):
            # A volume is one sample; of slices, those that nobody looked at are unlabelled, whichever case they are of.
            known = case.extent != Extent.NONE if len(self.config.patch) == 2 else np.array([case.annotated])
            labelled = [(index, int(z)) for z in np.flatnonzero(known)]
            pools["labelled"] += labelled
            pools["trusted" if case.trusted else "untrusted"] += labelled
            pools["unlabelled"] += [(index, int(z)) for z in np.flatnonzero(~known)]
        return pools

    def _order(self, pool: int, size: int, number: int) -> npt.NDArray[np.int64]:
        """The order of the number-th pass over a pool."""
        key = (pool, number)
        if key not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k[0] != pool or k[1] == number - 1}
            self._orders[key] = np.random.default_rng([self.seed, pool, number, 1]).permutation(size)
        return self._orders[key]


def lacks(cases: Sequence[Prepared], composition: Mapping[str, int]) -> str | None:
    """Why a view has nothing for a share that tells clean labels from noisy ones, or None."""
    trusted = {case.trusted for case in cases if case.annotated}
    if "trusted" in composition and True not in trusted:
        return "no label of this view is known to be clean"
    if "untrusted" in composition and False not in trusted:
        return "no label of this view is noisy"
    return None


def gather(cases: Sequence[Prepared], draw: Draw, patch: Sequence[int]) -> Samples:
    """The samples of a draw, copied from the cases."""
    crops = []
    for case, here in zip(draw.case, draw.places, strict=True):
        at(f"step {draw.step}, case {cases[case].id}")
        crops.append(taken(cases[case], here, patch))
    return Samples(
        image=np.stack([image for image, _ in crops]),
        target=np.stack([target for _, target in crops]),
        case=np.array(draw.case),
        slice=np.array([here.slice for here in draw.places]),
        trusted=np.array([cases[case].trusted for case in draw.case]),
        step=draw.step,
        value=np.array([value for case in draw.case if (value := cases[case].value) is not None], np.float32),
    )


def crop(
    case: Prepared, z: int, config: TrainConfig, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]:
    """The patch of one sample: slice z of the case, or of all its slices where samples are volumes.

    Shape: image (C, *patch), target (*patch).
    """
    return taken(case, place(case, z, config, rng), config.patch)


def shares(batch: int, composition: Mapping[str, int]) -> list[int]:
    """Samples per share: at least one each, the first takes what rounding leaves.

    Raises:
        UsageError: the batch is smaller than the number of shares.
    """
    if batch < len(composition):
        raise UsageError(
            f"train.batch = {batch} has no room for a sample of each share: {', '.join(composition)}",
            mend=f"train.batch of at least {len(composition)}",
        )
    total = sum(composition.values())
    found = [max(1, batch * share // total) for share in composition.values()]
    found[0] += batch - sum(found)
    return found
