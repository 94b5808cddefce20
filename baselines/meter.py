"""Seconds, items and peak memory of a phase -> Cost. The device is synchronised at both ends of a window only."""

import resource
import time
from pathlib import Path

import msgspec
import torch

from converters.files import Strict
from leaderboards.record import Cost

WARMUP = 20  # steps left out of the steady state: compilation, allocator and page cache settle


class Tally(Strict):
    """What a meter has counted so far: stored in a checkpoint, so that an interrupted run's cost is the sum."""

    seconds: float = 0.0
    items: int = 0
    timed_seconds: float = 0.0
    timed_items: int = 0
    peak_host_mib: float = 0.0
    peak_device_mib: float = 0.0
    segments: int = 0


class Meter:
    """Counts one segment of a phase on top of what earlier segments counted."""

    def __init__(self, device: torch.device, before: Tally, warmup: int = WARMUP) -> None:
        self.device, self.before, self.warmup = device, before, warmup
        self.items = self.ticks = self.timed_items = 0
        self.start = time.perf_counter()
        self.window: float | None = None
        _reset_host_peak()
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def tick(self, items: int) -> None:
        """A step or case is done; steady state begins after the warm-up."""
        self.items += items
        self.ticks += 1
        if self.window is not None:
            self.timed_items += items
        elif self.ticks >= self.warmup:
            self._synchronise()
            self.window = time.perf_counter()

    def tally(self) -> Tally:
        """Everything counted up to now, earlier segments included."""
        self._synchronise()
        now = time.perf_counter()
        before = self.before
        device = torch.cuda.max_memory_allocated(self.device) / 2**20 if self.device.type == "cuda" else 0.0
        return msgspec.structs.replace(
            before,
            seconds=before.seconds + now - self.start,
            items=before.items + self.items,
            timed_seconds=before.timed_seconds + (now - self.window if self.window is not None else 0.0),
            timed_items=before.timed_items + self.timed_items,
            peak_host_mib=max(before.peak_host_mib, host_peak_mib()),
            peak_device_mib=max(before.peak_device_mib, device),
            segments=before.segments + 1,
        )

    def _synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def cost(tally: Tally, device: torch.device, batch: int, precision: str) -> Cost:
    """A tally as the record keeps it; where no steady state was reached, the rate is over everything."""
    timed = tally.timed_items > 0 and tally.timed_seconds > 0
    rate = tally.timed_items / tally.timed_seconds if timed else tally.items / max(tally.seconds, 1e-9)
    return Cost(
        seconds=round(tally.seconds, 3),
        items=tally.items,
        items_per_s=round(rate, 3),
        peak_host_mib=round(tally.peak_host_mib, 1),
        peak_device_mib=round(tally.peak_device_mib, 1) if device.type == "cuda" else None,
        batch=batch,
        precision=precision,
        segments=tally.segments,
    )


def host_peak_mib() -> float:
    """Largest resident memory of this process since the last reset, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _reset_host_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # not Linux, or not allowed: the peak is then that of the whole process
