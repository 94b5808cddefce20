"""Where the time of a training step goes: the real loop metered, then its parts one by one, then a torch trace."""

import collections
import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode

from baselines.augment import augment
from baselines.batch import Batch
from baselines.cache import prepare
from baselines.config import TrainConfig
from baselines.device import settings, wait_for
from baselines.feed import feed
from baselines.meter import WARMUP, Meter, Tally, cost
from baselines.model import compile_networks, load_model
from baselines.optimizer import make_optimizer, update
from baselines.sampler import Sampler
from baselines.train import Setting, Trained, train
from converters.dataset import Dataset
from converters.files import Strict
from leaderboards.record import Cost

PARTS = ("wait", "augment", "forward", "backward", "optimise")
TRACED = 3  # steps in the trace: a file that a browser opens
_SETTLE = 5  # steps before the parts are timed; the training before has warmed the rest
_TOP = 10


class Operator(Strict):
    """One kind of work in the traced steps."""

    name: str
    calls: int
    milliseconds: float  # by itself, without what it called; on the GPU where there is one


class Training(Strict):
    """What was measured of a training."""

    cost: Cost  # of the real loop, as a record holds it: warm-up included in the peaks, not in the rates
    steady: Cost  # of the steps whose parts were timed: peaks without the warm-up
    parameters: int
    machine: dict[str, str]
    parts_ms: dict[str, float]  # median, the device waited for after each part
    step_flops: int  # one step, forward and backward, every network of the method: 2 for a multiply-add
    matrix_gflops: float  # what the device reaches in a matrix product of this precision
    matrix_edge: int
    steps: int
    warmup: int
    traced: int  # steps that the operators are the sum of
    operators: tuple[Operator, ...]
    copies_ms: float  # per step, from the host to a GPU: part of the wait, or hidden behind work


def training(view: Dataset, config: TrainConfig, out: Path, setting: Setting, steps: int) -> Training:
    """Train for the warm-up and so many steps in `out`, and leave `trace.json.gz` and the model there.

    Raises:
        RefusedError: the method cannot learn from such a view.
    """
    device, total = torch.device(setting.device), WARMUP + steps
    short = msgspec.structs.replace(config, steps=total, checkpoint_every=total)
    trained = train(view, short, out, setting)
    with settings(config, device):
        walk = _Walk(view, short, trained, setting)
        meter = Meter(device, Tally(), warmup=_SETTLE)
        for _ in walk.steps(steps + _SETTLE):
            meter.tick(config.batch)
        steady = cost(meter.tally(), device, config.batch, config.precision)
        parts = {name: statistics.median(step[name] for step in walk.seconds[_SETTLE:]) for name in PARTS}
        operators, copies = _traced(walk, out / "trace.json.gz")
        gflops, edge = matrix_gflops(device, config.precision)
        return Training(
            cost=trained.cost,
            steady=steady,
            parameters=trained.parameters,
            machine=trained.machine,
            parts_ms={name: round(spent * 1000, 3) for name, spent in parts.items()},
            step_flops=walk.flops(),
            matrix_gflops=round(gflops, 1),
            matrix_edge=edge,
            steps=steps,
            warmup=WARMUP,
            traced=TRACED,
            operators=operators,
            copies_ms=round(copies, 3),
        )


class _Walk:
    """The loop's step in parts, each waited for: what a profile may do and a training must not."""

    def __init__(self, view: Dataset, config: TrainConfig, trained: Trained, setting: Setting) -> None:
        self.config, self.device, self.pieces = config, torch.device(setting.device), trained.cost.parts
        self.method = load_model(trained.model, self.device, setting.plugin)[0].train()
        compile_networks(self.method, config, self.device)
        self.optimizer = make_optimizer(self.method, config, self.device)
        self.sampler = Sampler(prepare(view, config, setting.cache), config, self.method.composition, setting.seed)
        self.seconds: list[dict[str, float]] = []  # of every step
        self._now: dict[str, float] = collections.defaultdict(float)
        self._batch: Batch | None = None

    def steps(self, count: int) -> Iterator[None]:
        """Take so many steps; yields after each."""
        batches = feed(self.sampler, range(count), self.device)
        for step in range(count):
            self._now.clear()
            with self._part("wait"):
                loaded = next(batches)
            with self._part("augment"):
                batch = augment(loaded, self.config.augment, torch.Generator().manual_seed(step))
            self.optimizer.zero_grad(set_to_none=True)
            for number in range(self.pieces):
                with self._part("forward"):
                    total = self._loss(batch.part(number, self.pieces), step / count)
                with self._part("backward"):
                    torch.autograd.backward(total)
            with self._part("optimise"):
                update(self.optimizer, step, self.config)
                self.method.after_step(step)
            self._batch = batch
            self.seconds.append(dict(self._now))
            yield

    def flops(self) -> int:
        """Floating-point operations of the last batch's step: convolutions, matrix products, attention."""
        assert self._batch is not None  # a step was taken
        with torch.compiler.set_stance("force_eager"), FlopCounterMode(display=False) as counter:
            for number in range(self.pieces):
                torch.autograd.backward(self._loss(self._batch.part(number, self.pieces), 0.0))
        return int(counter.get_total_flops())

    def _loss(self, batch: Batch, progress: float) -> Tensor:
        return torch.stack(list(self.method(batch, progress).values())).sum() / self.pieces

    @contextlib.contextmanager
    def _part(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        with record_function(name):
            yield
            wait_for(self.device)
        self._now[name] += time.perf_counter() - start


def _traced(walk: _Walk, out: Path) -> tuple[tuple[Operator, ...], float]:
    """Trace a few steps; the operators that took most, and the milliseconds a step's copies to the GPU took."""
    cuda = walk.device.type == "cuda"
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the tracer writes to stderr that there is no GPU
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]) as traced:
        for _ in walk.steps(TRACED):
            pass
    traced.export_chrome_trace(str(out))
    # On a GPU a row of the host holds the time of the kernels it started, and each kernel has a row as well.
    rows = [
        (event, (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1000)
        for event in traced.key_averages()
        if not event.key.startswith((*PARTS, "Optimizer."))  # marks, no work of their own
    ]
    copies = sum(spent for event, spent in rows if event.key.startswith("Memcpy HtoD"))
    found = [
        Operator(name=event.key, calls=event.count, milliseconds=round(spent, 3))
        for event, spent in rows
        if event.device_type.name == "CPU"
    ]
    return tuple(sorted(found, key=lambda one: -one.milliseconds)[:_TOP]), copies / TRACED


def matrix_gflops(device: torch.device, precision: str) -> tuple[float, int]:
    """The best rate of a square matrix product in GFLOP/s, and its edge: what no network exceeds by much."""
    edge, repeats = (4096, 20) if device.type == "cuda" else (1024, 5)
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(edge, edge, device=device).to(kind) for _ in range(2))

    def multiply() -> None:
        for _ in range(repeats):
            torch.mm(left, right)

    with torch.inference_mode():
        best = min(timed(multiply, device, 6))
    return repeats * 2 * edge**3 / best / 1e9, edge


def timed(work: Callable[[], object], device: torch.device, runs: int) -> list[float]:
    """Seconds of each run of a piece of work, the device waited for; one run before them is not counted."""
    work()
    wait_for(device)
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return seconds
