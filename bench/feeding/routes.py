"""Four ways to feed a training with the same samples: from memory, a packed cache, a record file, a generator."""

import dataclasses
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from baselines.ahead import prefetch
from baselines.batch import Samples
from baselines.cache import Prepared, prepare
from baselines.config import TrainConfig
from baselines.pack import packs
from baselines.sampler import Sampler, crop
from bench.feeding import records
from bench.feeding.records import Item, alone
from converters.dataset import Dataset
from converters.errors import BenchError

RECORDS, PACKS = "samples.records", "packs"  # file and folder in the scratch folder
BUFFER = 512  # samples of which the next one is drawn, where the file is read from front to back
BUFFER_BYTES = 256 * 2**20  # and no more than these


@dataclasses.dataclass(frozen=True)
class Source:
    """What is fed: the annotated samples of a view on the network's grid, in an order that the seed decides."""

    view: Dataset
    config: TrainConfig
    seed: int
    scratch: Path  # folder for what a route writes
    cache: Path | None = None  # folder of packs, shared with runs; None: in `scratch`

    @property
    def flat(self) -> bool:
        """Whether samples are slices."""
        return len(self.config.patch) == 2

    def case(self, index: int) -> Prepared:
        """One case, read and prepared now."""
        view = dataclasses.replace(self.view, cases=(self.view.cases[index],))
        return prepare(view, self.config)[0]

    def indices(self, index: int, case: Prepared) -> Iterator[Item]:
        """The samples of a prepared case in which somebody annotated something."""
        pool = Sampler([case], self.config, {"labelled": 1}, self.seed).shares[0][0] if case.annotated else []
        return ((index, z) for _, z in pool)


class Route(ABC):
    """A way to feed. Making one is the preparation."""

    disk_bytes = 0  # kept on disk beside the dataset
    reused = False  # the preparation was found on disk, left by a run

    def __init__(self, source: Source) -> None:
        self.source = source

    @abstractmethod
    def items(self) -> list[Item]:
        """Every sample, in the order of cases and slices."""

    @abstractmethod
    def samples(self, wanted: set[Item]) -> Iterator[tuple[Item, Prepared]]:
        """These samples before any crop, each as a case of its own, in the order of cases and slices."""

    @abstractmethod
    def batches(self) -> Iterator[Samples]:
        """Batches without end, made ahead in one thread."""


class Memory(Route):
    """Everything is read and prepared once, and held."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.sampler = Sampler(self._cases(), source.config, {"labelled": 1}, source.seed)

    def _cases(self) -> list[Prepared]:
        return prepare(self.source.view, self.source.config)

    def items(self) -> list[Item]:  # noqa: D102
        return list(self.sampler.shares[0][0])

    def samples(self, wanted: set[Item]) -> Iterator[tuple[Item, Prepared]]:  # noqa: D102
        for index, z in sorted(wanted):
            yield (index, z), alone(self.sampler.cases[index], z if self.source.flat else None)

    def batches(self) -> Iterator[Samples]:  # noqa: D102
        return prefetch(self.sampler, itertools.count())


class Pack(Memory):
    """Everything is prepared once into packed files, which are mapped: what `bench run` does."""

    def _cases(self) -> list[Prepared]:
        root = self.source.cache or self.source.scratch / PACKS
        before = {folder for folder, _, _ in packs(root)}
        cases = prepare(self.source.view, self.source.config, root)
        self.reused = not {folder for folder, _, _ in packs(root)} - before
        self.disk_bytes = sum(one.image.nbytes + one.target.nbytes + one.foreground.nbytes for one in cases)
        return cases


class Shuffled(Route):
    """Samples come one by one; a batch is cropped from them."""

    @abstractmethod
    def stream(self) -> Iterator[tuple[Item, Prepared]]:
        """Samples without end, in the order of training."""

    def batches(self) -> Iterator[Samples]:  # noqa: D102
        return prefetch(_Batches(self.stream(), self.source), itertools.count())


@dataclasses.dataclass(frozen=True)
class _Batches:
    stream: Iterator[tuple[Item, Prepared]]
    source: Source

    def __call__(self, step: int) -> Samples:
        config = self.source.config
        rng = np.random.default_rng([self.source.seed, step])
        drawn = list(itertools.islice(self.stream, config.batch))
        crops = [crop(one, 0, config, rng) for _, one in drawn]
        return Samples(
            image=np.stack([image for image, _ in crops]),
            target=np.stack([target for _, target in crops]),
            case=np.array([case for (case, _), _ in drawn]),
            slice=np.array([z for (_, z), _ in drawn]),
            trusted=np.array([one.trusted for _, one in drawn]),
            step=step,
        )


class Records(Shuffled):
    """Everything is prepared once into one file, read from front to back; the next sample is drawn from a buffer."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.path = source.scratch / RECORDS
        self._items: list[Item] = []
        self.disk_bytes = records.write(self.path, self._prepared())

    def _prepared(self) -> Iterator[tuple[Item, Prepared]]:
        for index in range(len(self.source.view.cases)):
            case = self.source.case(index)
            for item in self.source.indices(index, case):
                self._items.append(item)
                yield item, alone(case, item[1] if self.source.flat else None)

    def items(self) -> list[Item]:  # noqa: D102
        return self._items

    def samples(self, wanted: set[Item]) -> Iterator[tuple[Item, Prepared]]:  # noqa: D102
        return ((item, one) for item, one in records.read(self.path) if item in wanted)

    def stream(self) -> Iterator[tuple[Item, Prepared]]:  # noqa: D102
        rng = np.random.default_rng(self.source.seed)
        buffer: list[tuple[Item, Prepared]] = []
        held = 0
        for item, one in itertools.chain.from_iterable(records.read(self.path) for _ in itertools.count()):
            buffer.append((item, one))
            held += one.image.nbytes + one.target.nbytes
            if len(buffer) >= min(BUFFER, len(self._items)) or held >= BUFFER_BYTES:
                drawn = int(rng.integers(len(buffer)))
                buffer[drawn], buffer[-1] = buffer[-1], buffer[drawn]
                given = buffer.pop()
                held -= given[1].image.nbytes + given[1].target.nbytes
                yield given


class Generator(Shuffled):
    """Nothing is kept: for every sample its case is read from NIfTI and prepared, as a generator in Python does."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self._items = [item for index in range(len(source.view.cases)) for item in self._index(index)]

    def _index(self, index: int) -> Iterator[Item]:
        """The samples of a case; nothing is read where the sidecar says that all of it is annotated."""
        case = self.source.view.cases[index]
        if case.label is None or case.label.annotated_fraction < 1:
            yield from self.source.indices(index, self.source.case(index))
        else:
            count = case.geometry.shape[case.geometry.slice_axis] if self.source.flat else 1
            yield from ((index, z) for z in range(count))

    def items(self) -> list[Item]:  # noqa: D102
        return self._items

    def samples(self, wanted: set[Item]) -> Iterator[tuple[Item, Prepared]]:  # noqa: D102
        return ((item, self._read(item)) for item in sorted(wanted))

    def _read(self, item: Item) -> Prepared:
        return alone(self.source.case(item[0]), item[1] if self.source.flat else None)

    def stream(self) -> Iterator[tuple[Item, Prepared]]:  # noqa: D102
        rng = np.random.default_rng(self.source.seed)
        while True:
            for number in rng.permutation(len(self._items)):
                item = self._items[number]
                yield item, self._read(item)


ROUTES: dict[str, type[Route]] = {"memory": Memory, "pack": Pack, "records": Records, "generator": Generator}


def chosen(view: Dataset) -> Dataset:
    """The cases of a dataset that have a label.

    Raises:
        BenchError: the dataset has no case, or none has a label.
    """
    if not view.cases:
        raise BenchError("the dataset has no case", where=view.root, mend="convert it again")
    labelled = tuple(case for case in view.cases if case.label is not None)
    if not labelled:
        raise BenchError("no case has a label: there is nothing to train on", where=view.root)
    return dataclasses.replace(view, cases=labelled)
