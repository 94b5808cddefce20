"""The stages whose cost is measured: what each needs beforehand, and what of it is timed."""

import contextlib
import dataclasses
import gc
import itertools
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from baselines.config import AugmentConfig, NetConfig, TrainConfig
from bench.growth import madeup
from bench.growth.sizes import SMALLEST, Axis, Size
from converters.convert import convert

STEPS, SETTLED = 8, 3  # steps of a training; the first ones are left out
_SMALL = NetConfig(widths=(8, 16), dropout=(0.0, 0.0))


class Stage(ABC):
    """One stage, at any size."""

    says: str  # what is measured
    axes: dict[Axis, Size]  # what grows, and the size it starts from

    @abstractmethod
    def prepare(self, work: Path, size: Size) -> None:
        """Write what the stage reads, once; neither timed nor in the memory."""

    @abstractmethod
    def run(self, work: Path, size: Size, repeats: int) -> list[float]:
        """Seconds of every repeat."""


class Convert(Stage):
    """`bench convert`."""

    says = "a raw dataset of NIfTI files to the uniform format, one process"
    axes = {"cases": Size(cases=4)}

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        madeup.raw(work, size)

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        raw = madeup.raw(work, size)
        with _folders(work) as folder:
            return [_seconds(lambda: convert("nnunet", raw, next(folder))) for _ in range(repeats)]


class Pack(Stage):
    """What a first run does before it trains."""

    says = "a dataset read, checked, normalised, resampled and packed"
    axes = {"cases": Size(cases=8), "volume": Size(volume=(64, 64, 16))}

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        madeup.dataset(work, size)

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        from baselines.cache import prepare

        known, config = madeup.dataset(work, size), TrainConfig(patch=(32, 32), grid=(1.25, 1.25))
        with _folders(work) as folder:
            return [_seconds(lambda: prepare(known, config, next(folder))) for _ in range(repeats)]


class Step(Stage):
    """One step of a training, its sampler and augmentation included."""

    says = "one training step of the default U-Net on slices, float32"
    axes = {
        "batch": Size(batch=2, patch=(64, 64)),
        "patch": Size(batch=4, patch=(32, 32), volume=(128, 128, 4)),
        "classes": Size(classes=2, patch=(64, 64)),
    }

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        madeup.dataset(work, size)

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        from baselines.train import Setting, train

        times: list[float] = []

        def told(step: int, steps: int) -> None:
            times.append(time.perf_counter())

        config = _config(size, NetConfig(), max(STEPS, repeats + SETTLED))
        with _folders(work) as folder:
            train(madeup.dataset(work, size), config, next(folder), Setting(progress=told))
        return [after - before for before, after in itertools.pairwise(times)][SETTLED - 1 :]


class Predict(Stage):
    """`bench predict`."""

    says = "label maps of a dataset by a small U-Net, slice by slice, the model loaded anew"
    axes = {"cases": Size(cases=4), "volume": Size(volume=(64, 64, 16)), "classes": Size(classes=2)}

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        from baselines.train import Setting, train

        if not (self._model(work, size) / "model.safetensors").is_file():
            known = madeup.dataset(work, size)
            train(known, _config(size, _SMALL, 1), self._model(work, size), Setting())

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        from baselines.predict import Setting, predict

        known, model = madeup.dataset(work, size), self._model(work, size)
        with _folders(work) as folder:
            return [
                _seconds(lambda: predict(model, known, known.cases, next(folder), Setting())) for _ in range(repeats)
            ]

    def _model(self, work: Path, size: Size) -> Path:
        return work / f"model-{size.classes}"


class Score(Stage):
    """`bench score`."""

    says = "all metrics of predictions that are one voxel off"
    axes = {
        "cases": Size(cases=4),
        "volume": Size(volume=(64, 64, 16)),
        "classes": Size(classes=2, volume=(64, 64, 16)),
    }

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        madeup.predictions(work, size)

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        from bench.score import score

        known, made = madeup.dataset(work, size), madeup.predictions(work, size)
        return [_seconds(lambda: score(made, known, known.cases)) for _ in range(repeats)]


class Table(Stage):
    """`bench table`."""

    says = "records of one dataset and protocol read, ranked and compared, five seeds a method"
    axes = {"records": Size(records=20)}

    def prepare(self, work: Path, size: Size) -> None:  # noqa: D102
        madeup.records(work, size)

    def run(self, work: Path, size: Size, repeats: int) -> list[float]:  # noqa: D102
        from leaderboards import collect, table

        folder = madeup.records(work, size)
        return [_seconds(lambda: table.rows(collect.load([folder]).records)) for _ in range(repeats)]


STAGES: dict[str, Stage] = {
    "convert": Convert(),
    "pack": Pack(),
    "training step": Step(),
    "prediction": Predict(),
    "scoring": Score(),
    "table": Table(),
}


@dataclasses.dataclass(frozen=True)
class Task:
    """One point to be measured, in a fresh process."""

    stage: str
    size: Size
    work: Path
    repeats: int


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of one point."""

    seconds: list[float]  # of every repeat
    mib: float  # peak resident memory above that after a rehearsal


def lay_out(tasks: Sequence[Task]) -> None:
    """Write what the points of a stage read."""
    for task in tasks:
        for size in (SMALLEST, task.size):
            STAGES[task.stage].prepare(task.work, size)


def measure(task: Task) -> Cost:
    """Time the point and look at the memory of this process, which has rehearsed it with next to nothing."""
    import torch

    from baselines import host

    torch.set_num_threads(1)  # where cores are shared, more would measure the others
    stage = STAGES[task.stage]
    stage.run(task.work, SMALLEST, 1)  # what is imported and set up once is no cost of a size
    gc.collect()
    gc.freeze()  # what the libraries hold is not looked through again and again
    host.reset_peaks()
    before = host.own_peak_mib()
    seconds = stage.run(task.work, task.size, task.repeats)
    return Cost(seconds, max(0.0, host.own_peak_mib() - before))


def _config(size: Size, net: NetConfig, steps: int) -> TrainConfig:
    return TrainConfig(
        net=net, augment=AugmentConfig(), steps=steps, batch=size.batch, patch=size.patch, grid=(1.0, 1.0), threads=1
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextlib.contextmanager
def _folders(work: Path) -> Iterator[Iterator[Path]]:
    """New places without end, gone after the block."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        yield (Path(folder) / str(number) for number in itertools.count())
