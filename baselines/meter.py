"""Seconds, items, step times, stages, peak memory and energy of a phase -> Cost.

The device is synchronised at both ends of a window only, never by a tick.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypedDict, Unpack

import msgspec
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines import clock, host, ranks
from baselines.clock import Clock
from baselines.device import wait_for
from baselines.gpu import Gpu
from baselines.method import Method
from converters.files import Strict
from leaderboards.record import Cost

WARMUP = 20  # steps left out of the steady state: compilation, allocator and page cache settle
_LOOK_EVERY = 1.0  # seconds between two looks at what has no peak of its own: children, and the driver's figures


class Tally(Strict):
    """What a meter has counted so far: stored in a checkpoint, so that an interrupted run's cost is the sum."""

    seconds: float = 0.0
    items: int = 0
    timed_seconds: float = 0.0
    timed_items: int = 0
    peak_host_mib: float = 0.0
    peak_device_mib: float = 0.0
    segments: int = 0
    voxels: int = 0
    timed_voxels: int = 0
    step_bins: dict[int, int] = {}  # of clock.Clock, in steady state
    stages: dict[str, float] = {}  # seconds
    peak_reserved_mib: float = 0.0
    peak_process_mib: float | None = None
    energy_j: float | None = None  # None as soon as one segment had no counter


class Meter:
    """Counts one segment of a phase on top of what earlier segments counted."""

    def __init__(self, device: torch.device, before: Tally, warmup: int = WARMUP) -> None:
        self.device, self.before, self.warmup = device, before, warmup
        self.items = self.voxels = self.ticks = self.timed_items = self.timed_voxels = 0
        self.stages: dict[str, float] = dict(before.stages)
        self.window: float | None = None
        self._lock = threading.Lock()
        self._clock, self._gpu = Clock(device), Gpu(device)
        self._children_mib, self._process_mib, self._looked = 0.0, before.peak_process_mib, 0.0
        host.reset_peaks()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self._energy = self._gpu.energy_j()
        self.start = time.perf_counter()

    def tick(self, items: int, voxels: int = 0) -> None:
        """A step or case is done; steady state begins after the warm-up."""
        self.items += items
        self.voxels += voxels
        self.ticks += 1
        if self.window is not None:
            self.timed_items += items
            self.timed_voxels += voxels
        elif self.ticks >= self.warmup:
            wait_for(self.device)
            self.window = time.perf_counter()
        if self.window is not None:
            self._clock.tick()
        if time.perf_counter() - self._looked > _LOOK_EVERY:
            self._look()

    @contextlib.contextmanager
    def stage(self, name: str, *, synchronise: bool = False) -> Iterator[None]:
        """Add the wall seconds of the block to a stage. Any thread may; stages of two threads overlap.

        `synchronise` waits for the device at the end, so that work handed to it counts where it was handed over.
        """
        start = time.perf_counter()
        try:
            yield
        finally:
            if synchronise:
                wait_for(self.device)
            seconds = time.perf_counter() - start
            with self._lock:
                self.stages[name] = self.stages.get(name, 0.0) + seconds

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time of the block out; memory and energy are those of the process and the GPU all the same."""
        wait_for(self.device)
        start = time.perf_counter()
        yield
        away = time.perf_counter() - start
        self.start += away
        if self.window is not None:
            self.window += away
        self._clock.skip()

    def tally(self) -> Tally:
        """Everything counted up to now, earlier segments included."""
        wait_for(self.device)
        now = time.perf_counter()
        self._clock.fold()
        self._look()
        before, cuda = self.before, self.device.type == "cuda"
        allocated = torch.cuda.max_memory_allocated(self.device) / 2**20 if cuda else 0.0
        reserved = torch.cuda.max_memory_reserved(self.device) / 2**20 if cuda else 0.0
        with self._lock:
            stages = dict(self.stages)
        return msgspec.structs.replace(
            before,
            seconds=before.seconds + now - self.start,
            items=before.items + self.items,
            timed_seconds=before.timed_seconds + (now - self.window if self.window is not None else 0.0),
            timed_items=before.timed_items + self.timed_items,
            peak_host_mib=max(before.peak_host_mib, host.own_peak_mib() + self._children_mib),
            peak_device_mib=max(before.peak_device_mib, allocated),
            segments=before.segments + 1,
            voxels=before.voxels + self.voxels,
            timed_voxels=before.timed_voxels + self.timed_voxels,
            step_bins=clock.merged(before.step_bins, self._clock.bins),
            stages=stages,
            peak_reserved_mib=max(before.peak_reserved_mib, reserved),
            peak_process_mib=self._process_mib,
            energy_j=self._joules(),
        )

    def _look(self) -> None:
        self._looked = time.perf_counter()
        self._children_mib = max(self._children_mib, host.children_peak_mib())
        held = self._gpu.process_mib()
        if held is not None:
            self._process_mib = max(self._process_mib or 0.0, held)

    def _joules(self) -> float | None:
        now, start = self._gpu.energy_j(), self._energy
        earlier = self.before.energy_j if self.before.segments else 0.0
        if ranks.count() > 1:  # this is one GPU of several
            return None
        return None if now is None or start is None or earlier is None else earlier + now - start


class More(TypedDict, total=False):
    """Fields of a Cost that no meter counts."""

    parts: int
    held_items_per_s: float | None
    macs: int | None


def cost(tally: Tally, device: torch.device, batch: int, precision: str, **more: Unpack[More]) -> Cost:
    """A tally as the record keeps it; where no steady state was reached, rates are over everything."""
    cuda = device.type == "cuda"
    items, voxels, seconds = tally.items, tally.voxels, tally.seconds
    if tally.timed_items > 0 and tally.timed_seconds > 0:
        items, voxels, seconds = tally.timed_items, tally.timed_voxels, tally.timed_seconds
    seconds = max(seconds, 1e-9)
    return Cost(
        seconds=round(tally.seconds, 3),
        items=tally.items,
        items_per_s=round(items / seconds, 3),
        peak_host_mib=round(tally.peak_host_mib, 1),
        peak_device_mib=round(tally.peak_device_mib, 1) if cuda else None,
        batch=batch,
        precision=precision,
        segments=tally.segments,
        step_ms=clock.percentiles(tally.step_bins),
        stages_s={name: round(spent, 3) for name, spent in sorted(tally.stages.items())},
        voxels_per_s=float(f"{voxels / seconds:.6g}") if tally.voxels else None,
        peak_reserved_mib=round(tally.peak_reserved_mib, 1) if cuda else None,
        peak_process_mib=None if tally.peak_process_mib is None else round(tally.peak_process_mib, 1),
        energy_j=None if tally.energy_j is None else round(tally.energy_j, 1),
        **more,
    )


def macs(module: nn.Module, image: Tensor) -> int:
    """Multiplications with addition of one forward pass: convolutions, matrix products and attention.

    Normalisation, activation, pooling and interpolation are not counted: about 1 % of the U-Net's. A method is asked
    for its logits. The module is left as it was: no gradient, no running statistics, no random number.

    Shape: image (1, C, *S), one sample or window, on the module's device.
    """
    training = {part: part.training for part in module.modules()}
    counter = FlopCounterMode(display=False)
    forward: Callable[[Tensor], object] = module.logits if isinstance(module, Method) else module
    try:
        module.eval()
        with torch.no_grad(), torch.compiler.set_stance("force_eager"), counter:
            forward(image)
    finally:
        for part, was in training.items():
            part.training = was
    return counter.get_total_flops() // 2  # torch counts the multiplication and the addition
