"""Batches as a pure function of (seed, step): resuming is exact, and no process but this one draws numbers."""

import collections
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from baselines.batch import Samples
from baselines.cache import Prepared
from baselines.config import TrainConfig
from converters.dataset import IGNORE

Number = TypeVar("Number", np.float16, np.uint8)
Key = TypeVar("Key")
Made = TypeVar("Made")
Item = tuple[int, int]  # case, slice; the slice is 0 where samples are volumes


class Sampler:
    """Which samples a step sees. Each pool is walked in a fresh random order per pass, without repeats."""

    def __init__(
        self, cases: Sequence[Prepared], config: TrainConfig, composition: Mapping[str, int], seed: int
    ) -> None:
        self.cases = cases
        self.config = config
        self.seed = seed
        labelled, unlabelled = self._pools()
        pools = {"labelled": labelled or unlabelled, "unlabelled": unlabelled or labelled}
        self.shares = [
            (pools[name], share) for name, share in zip(composition, _split(config.batch, composition), strict=True)
        ]
        self._orders: dict[tuple[int, int], npt.NDArray[np.int64]] = {}

    def __call__(self, step: int) -> Samples:
        """The batch of this step."""
        items = [
            pool[self._order(index, len(pool), position // len(pool))[position % len(pool)]]
            for index, (pool, share) in enumerate(self.shares)
            for position in range(step * share, (step + 1) * share)
        ]
        rng = np.random.default_rng([self.seed, step])
        crops = [self._crop(item, rng) for item in items]
        return Samples(
            image=np.stack([image for image, _ in crops]),
            target=np.stack([target for _, target in crops]),
            case=np.array([case for case, _ in items]),
            slice=np.array([position for _, position in items]),
            trusted=np.array([self.cases[case].trusted for case, _ in items]),
            step=step,
        )

    def _pools(self) -> tuple[list[Item], list[Item]]:
        labelled: list[Item] = []
        unlabelled: list[Item] = []
        for index, case in enumerate(self.cases):
            if len(self.config.patch) == 3:
                (labelled if case.annotated else unlabelled).append((index, 0))
            elif case.annotated:
                seen = (case.target != IGNORE).any((1, 2))
                labelled += [(index, int(z)) for z in np.flatnonzero(seen)]
            else:
                unlabelled += [(index, z) for z in range(case.target.shape[0])]
        return labelled, unlabelled

    def _order(self, pool: int, size: int, number: int) -> npt.NDArray[np.int64]:
        """The order of the number-th pass over a pool."""
        key = (pool, number)
        if key not in self._orders:
            self._orders = {k: v for k, v in self._orders.items() if k[0] != pool or k[1] == number - 1}
            self._orders[key] = np.random.default_rng([self.seed, pool, number, 1]).permutation(size)
        return self._orders[key]

    def _crop(self, item: Item, rng: np.random.Generator) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]:
        index, z = item
        return crop(self.cases[index], z, self.config, rng)


def crop(
    case: Prepared, z: int, config: TrainConfig, rng: np.random.Generator
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.uint8]]:
    """The patch of one sample: slice z of the case, or of all its slices where samples are volumes.

    Shape: image (C, *patch), target (*patch).
    """
    patch = config.patch
    image, target = (case.image, case.target) if len(patch) == 3 else (case.image[:, z], case.target[z])
    if target.shape == patch:
        return image, target
    inside = config.foreground, partial(_foreground, case, z, len(patch))
    starts = _starts(target.shape, patch, rng, inside)
    return _cut(image, starts, patch, None), _cut(target[None], starts, patch, IGNORE)[0]


def _foreground(case: Prepared, z: int, ndim: int) -> npt.NDArray[np.uint32]:
    """Annotated foreground voxels of a sample, as flat indices into it."""
    if ndim == 3:
        return case.foreground
    area = case.target[0].size
    first, last = np.searchsorted(case.foreground, (z * area, (z + 1) * area))
    return case.foreground[first:last] - np.uint32(z * area)


def _starts(
    shape: Sequence[int],
    patch: Sequence[int],
    rng: np.random.Generator,
    inside: tuple[float, Callable[[], npt.NDArray[np.uint32]]],
) -> list[int]:
    """First voxel of a crop per axis: uniform, or centred on an annotated foreground voxel; negative where padded.

    `inside`: how often the second, and what gives the voxels.
    """
    spare = [size - edge for size, edge in zip(shape, patch, strict=True)]
    starts = [int(rng.integers(0, s + 1)) if s > 0 else s // 2 for s in spare]
    often, voxels = inside
    if rng.random() < often and len(found := voxels()):
        centre = np.unravel_index(int(found[rng.integers(len(found))]), tuple(shape))
        starts = [
            int(np.clip(c - edge // 2, 0, s)) if s > 0 else s // 2
            for c, edge, s in zip(centre, patch, spare, strict=True)
        ]
    return starts


def _cut(
    array: npt.NDArray[Number], starts: Sequence[int], patch: Sequence[int], fill: int | None
) -> npt.NDArray[Number]:
    """The crop of the trailing axes; outside the array the edge value, or `fill`."""
    inner, pad = [slice(None)], [(0, 0)]
    for start, edge, size in zip(starts, patch, array.shape[1:], strict=True):
        stop = start + edge
        inner.append(slice(max(start, 0), min(stop, size)))
        pad.append((max(-start, 0), max(stop - size, 0)))
    cut = array[tuple(inner)]
    if not any(map(any, pad)):
        return cut
    return np.pad(cut, pad, mode="edge") if fill is None else np.pad(cut, pad, constant_values=fill)


def _split(batch: int, composition: Mapping[str, int]) -> list[int]:
    """Samples per share: at least one each, the first takes what rounding leaves."""
    total = sum(composition.values())
    shares = [max(1, batch * share // total) for share in composition.values()]
    shares[0] += batch - sum(shares)
    return shares


def prefetch(make: Callable[[Key], Made], keys: Iterable[Key], ahead: int = 2) -> Iterator[Made]:
    """What `make` gives for each key, made up to `ahead` keys before it is asked for, in one thread.

    An error in the thread is raised here, as itself.
    """
    made: collections.deque[Future[Made]] = collections.deque()
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        for key in keys:
            made.append(pool.submit(make, key))
            if len(made) > ahead:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
