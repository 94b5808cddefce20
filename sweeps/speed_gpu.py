"""Training speed on a GPU, in one go: speed-gpu.sh says how. Writes speed-gpu.json and speed-gpu.md.

The real loop trains on made-up cases that live where `feed` puts them. Share of the peak: multiply-adds of the network
(backward counted as two forward passes, the teacher's forward over its half of the batch), as TFLOP/s, of what a large
bfloat16 product reaches in the same run. Idle: the part of a step in which no kernel runs (kernels from a short trace,
the step from a run without one), and what the feed costs beside a batch that is held.
"""

import contextlib
import dataclasses
import gc
import importlib.util
import json
import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import torch  # noqa: TID253

from baselines.cache import Prepared, foreground
from baselines.config import NetConfig, NetSpec, TrainConfig
from baselines.device import describe, pick, settings
from baselines.loop import Loop
from baselines.memory import out_of_memory
from baselines.meter import WARMUP, macs
from baselines.method import Method
from baselines.model import ModelSpec, compile_networks, make_method
from baselines.optimizer import make_optimizer
from baselines.trace import timed
from converters.dataset import IGNORE
from converters.errors import BenchError

DEVICE = torch.device(pick(os.environ.get("DEVICE", "auto")))
STEPS = int(os.environ.get("STEPS", "60"))  # timed, after the warm-up
SIZE, CUBE = int(os.environ.get("SIZE", "256")), int(os.environ.get("CUBE", "128"))
MATRIX = int(os.environ.get("MATRIX", "8192"))
BATCHES = [int(word) for word in os.environ.get("BATCHES", "24 48 96 192 256").split()]
SECONDS = float(os.environ.get("SECONDS_IN_ALL", "520"))
OUT = Path(os.environ.get("OUT", "build/speed-gpu"))
COMPILED = os.environ.get("COMPILED", "both" if DEVICE.type == "cuda" else "eager")
CLASSES, TRACED, ACDC_STEPS, ACDC_BATCH = 4, 10, 30_000, 24
FORWARDS = {"supervised": 3.0, "mean_teacher": 3.5}  # forward passes of a batch that a step is worth
COLUMNS = ("network", "method", "patch", "batch", "compiled", "items_per_s", "step_ms", "peak_share", "idle_trace")
COLUMNS += ("idle_feed", "allocated_gib", "reserved_gib", "first_step_s", "acdc_minutes", "cache_on", "fault")


@dataclasses.dataclass(frozen=True)
class Job:
    """One row: a network, a method, a batch."""

    network: str
    method: str
    batch: int
    compiled: bool
    ndim: int = 2

    def config(self) -> TrainConfig:
        """As `bench train` would be told."""
        nets = {"smp resnet34": NetConfig(arch="Unet", encoder="resnet34"), "unet": NetConfig(arch="unet")}
        return TrainConfig(
            method=self.method,
            net=nets[self.network],
            steps=ACDC_STEPS,
            batch=self.batch,
            patch=(SIZE, SIZE) if self.ndim == 2 else (CUBE,) * 3,
            precision="bf16",
            compile=self.compiled,
        )


def jobs() -> list[Job]:
    """What matters most first: time may end before all is done."""
    found = ["smp resnet34"] * (importlib.util.find_spec("segmentation_models_pytorch") is not None)
    kinds = {"both": (True, False), "eager": (False,), "compiled": (True,)}[COMPILED]
    first = [Job(net, "supervised", BATCHES[0], kind) for net in (*found, "unet") for kind in kinds]
    teachers = [Job(net, "mean_teacher", BATCHES[0], kind) for net in found or ["unet"] for kind in kinds]
    cubes = [Job("unet", "supervised", 2, kind, 3) for kind in kinds]
    rest = [Job(net, "supervised", batch, kind) for batch in BATCHES[:0:-1] for net in found for kind in kinds]
    last = [Job(net, "mean_teacher", batch, kinds[0]) for batch in BATCHES[:0:-1] for net in found]
    return first + teachers + cubes + rest + last


def cases(ndim: int) -> list[Prepared]:
    """As many slices as ACDC has for 2D (1900), a few cubes with room to crop for 3D; every third without a label."""
    count, shape = (190, (10, SIZE, SIZE)) if ndim == 2 else (6, (CUBE + CUBE // 4,) * 3)
    made = []
    for k in range(max(3, count if DEVICE.type == "cuda" else 3)):
        rng = np.random.default_rng(k)
        target = np.zeros(shape, np.uint8)
        edge = shape[-1] // 6
        for code in range(1, CLASSES):
            target[:, code * edge : (code + 1) * edge, edge : 4 * edge] = code
        image = (target + rng.standard_normal(shape, np.float32) / 2).astype(np.float16)[None]
        target = np.full_like(target, IGNORE) if k % 3 == 2 else target
        made.append(Prepared(f"c{k}", image, target, foreground(target), k % 3 != 2))
    return made


def method_of(config: TrainConfig) -> Method:
    """A fresh method on the device."""
    net = NetSpec(
        config=config.net,
        in_channels=1,
        classes=CLASSES,
        patch=config.patch,
        spacing=(1.0,) * len(config.patch),
        precision=config.precision,
        channels_last=config.channels_last,
    )
    labels = {f"label {k}": k for k in range(CLASSES)}
    torch.manual_seed(0)
    return make_method(ModelSpec(config=config, net=net, channels=("mr",), labels=labels, seed=0)).to(DEVICE)


def synchronise() -> None:
    """Wait for the GPU, if there is one."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def matrix_tflops() -> float:
    """What a large bfloat16 product reaches."""
    a, b = (torch.randn(MATRIX, MATRIX, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    times = 20 if DEVICE.type == "cuda" else 1

    def multiply() -> None:
        for _ in range(times):
            torch.mm(a, b)

    return times * 2 * MATRIX**3 / min(timed(multiply, DEVICE, 3)) / 1e12


def measure(job: Job, data: list[Prepared], peak: float) -> dict[str, object]:
    """A row; a batch that does not fit, or a compiler that is not there, is said in it."""
    row: dict[str, object] = {key: value for key, value in dataclasses.asdict(job).items() if key != "ndim"}
    config = job.config()
    row["patch"] = "x".join(map(str, config.patch))
    try:
        with settings(config, DEVICE), tempfile.TemporaryDirectory() as folder:
            row |= _timed(job, config, data, peak, Path(folder) / "log.jsonl")
    except (BenchError, RuntimeError) as error:
        row["fault"] = "out of memory" if out_of_memory(error) else f"{type(error).__name__}: {str(error)[:200]}"
    gc.collect()
    torch.compiler.reset()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
    return row


def _timed(job: Job, config: TrainConfig, data: list[Prepared], peak: float, log: Path) -> dict[str, object]:
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats(DEVICE)
    method = method_of(config)
    work = macs(method, torch.zeros(1, 1, *config.patch, device=DEVICE))
    compile_networks(method, config, DEVICE)
    loop = Loop(method, make_optimizer(method, config, DEVICE), data, config, seed=0, device=DEVICE, parts=1)
    with contextlib.closing(loop.steps(0, log)) as steps:
        first = _seconds(steps, 1)
        _seconds(steps, WARMUP)
        step = _seconds(steps, STEPS) / STEPS
        busy = _kernel_seconds(steps)
    held = loop.held_rate()
    rate = config.batch / step
    achieved = rate * FORWARDS[job.method] * 2 * work / 1e12
    return {
        "items_per_s": round(rate, 2),
        "step_ms": round(1000 * step, 3),
        "peak_share": round(achieved / peak, 4),
        "idle_trace": None if busy is None else round(max(0.0, 1 - busy / step), 4),
        "idle_feed": None if held is None else round(max(0.0, 1 - rate / held), 4),
        "allocated_gib": _gib(torch.cuda.max_memory_allocated) if DEVICE.type == "cuda" else None,
        "reserved_gib": _gib(torch.cuda.max_memory_reserved) if DEVICE.type == "cuda" else None,
        "first_step_s": round(first, 2),
        "gmacs_forward": round(work / 1e9, 3),
        "acdc_minutes": round((first + ACDC_STEPS * step) / 60, 2)
        if job.ndim == 2 and config.batch == ACDC_BATCH
        else None,
        "cache_on": loop.cache_on,
    }


def _seconds(steps: object, count: int) -> float:
    synchronise()
    start = time.perf_counter()
    for _ in range(count):
        next(steps)  # type: ignore[call-overload]
    synchronise()
    return time.perf_counter() - start


def _kernel_seconds(steps: object) -> float | None:
    """Seconds a step keeps the GPU busy, from a trace; one stream, so kernels do not overlap."""
    if DEVICE.type != "cuda":
        return None
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as trace:
        _seconds(steps, TRACED)
    kernels = [event for event in trace.key_averages() if event.device_type == torch.autograd.DeviceType.CUDA]
    return sum(event.self_device_time_total for event in kernels if not event.is_user_annotation) / 1e6 / TRACED


def _gib(read: object) -> float:
    return round(read(DEVICE) / 2**30, 3)  # type: ignore[operator]


def page(results: dict) -> str:
    """The results as Markdown."""
    rows = [["" if row.get(name) is None else str(row[name]) for name in COLUMNS] for row in results["rows"]]
    lines = [
        "# Training speed on a GPU",
        "",
        "Made by `make speed-gpu`; items are slices of 2D networks and volumes of 3D ones.",
        "",
        *(f"- {key}: {value}" for key, value in results["machine"].items()),
        f"- bfloat16 product {MATRIX}^3: {results['matrix_tflops']:.4g} TFLOP/s",
        *(f"- {said}" for said in results["notes"]),
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure until all is done or time is up; what is there is written after every row."""
    start = time.perf_counter()
    notes = [
        f"{name} is not installed: {what}"
        for name, what in {"segmentation_models_pytorch": "no resnet34", "timm": "no timm encoder"}.items()
        if importlib.util.find_spec(name) is None
    ]
    machine = {"torch": torch.__version__, "python": platform.python_version(), **describe(DEVICE)}
    results = {"machine": machine, "matrix_tflops": matrix_tflops(), "notes": notes, "rows": []}
    data: dict[int, list[Prepared]] = {}
    OUT.mkdir(parents=True, exist_ok=True)
    for job in jobs():
        if time.perf_counter() - start > SECONDS:
            notes.append(f"time was up before {job}")
        else:
            data = data if job.ndim in data else {job.ndim: cases(job.ndim)}
            results["rows"].append(measure(job, data[job.ndim], results["matrix_tflops"]))
        (OUT / "speed-gpu.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        (OUT / "speed-gpu.md").write_text(page(results), encoding="utf-8")
    print(page(results))  # noqa: T201


if __name__ == "__main__":
    main()
