"""Time the routes, each in a process of its own, once they are seen to give the same voxels."""

import contextlib
import dataclasses
import errno
import hashlib
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from baselines import host
from baselines.batch import Samples
from baselines.device import settings
from bench.feeding.routes import PACKS, RECORDS, ROUTES, Route, Source
from converters.errors import BenchError, EnvironmentFault
from converters.files import Strict
from converters.lock import locked
from converters.workers import alone

SCRATCH = "scratch"  # folder of record file and packs, in the folder of the results


class Fed(Strict):
    """What one route came to. Rates are of whole rounds, one after another, without a pause."""

    route: str
    samples: int  # that there are
    voxels: str  # sha256 of the samples that were compared
    samples_per_s: tuple[float, ...]  # of every round
    prepare_s: float
    first_batch_s: float  # after the preparation: mapping, filling a buffer, making the first batch
    start_mib: float  # resident before the preparation: python, torch
    peak_mib: float  # resident, mapped pages of files included
    disk_mib: float  # kept beside the dataset
    reused: bool  # the preparation was there
    page_cache: str

    @property
    def median(self) -> float:
        """Samples per second."""
        return statistics.median(self.samples_per_s)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Samples per second."""
        low, high = np.quantile(self.samples_per_s, (0.25, 0.75))
        return float(low), float(high)


@dataclasses.dataclass(frozen=True)
class Job:
    """One route, to be timed."""

    route: str
    source: Source
    rounds: int
    seconds: float  # of a round; at least one batch is taken
    expected: str = ""  # digest of the voxels that the other routes gave


def compare(jobs: Sequence[Job], scratch: Path, keep: bool, told: Callable[[Fed], None]) -> list[Fed]:
    """Time the routes one after the other.

    Raises:
        BenchError: a route gives other voxels than the first one.
        EnvironmentFault: the scratch folder cannot be written, or a process was ended, most likely for its memory.
    """
    with _room(scratch, keep):
        done: list[Fed] = []
        for job in jobs:
            expected = done[0].voxels if done else ""
            done.append(alone(feed, dataclasses.replace(job, expected=expected)))
            told(done[-1])
        return done


@contextlib.contextmanager
def _room(scratch: Path, keep: bool) -> Iterator[None]:
    """An empty folder; it is taken away again, with what it lies in where that is then empty, unless it is kept."""
    above = [folder for folder in scratch.parents if not folder.exists()]
    kept = False
    try:
        _writable(scratch)
        with locked(scratch):
            _clear(scratch)  # of one that was killed
            try:
                yield
                kept = keep
            finally:
                if not kept:
                    _clear(scratch)
    finally:
        for folder in (scratch, *above):
            with contextlib.suppress(OSError):  # not empty: something is kept, or somebody else works there
                folder.rmdir()


def _writable(scratch: Path) -> None:
    try:
        scratch.mkdir(parents=True, exist_ok=True)
        if not os.access(scratch, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise EnvironmentFault(
            f"cannot be written: {error.strerror}", where=scratch.parent, mend="give another folder with --out"
        ) from None


def _clear(scratch: Path) -> None:
    (scratch / RECORDS).unlink(missing_ok=True)
    shutil.rmtree(scratch / PACKS, ignore_errors=True)


def feed(job: Job) -> Fed:
    """Prepare a route, look at its voxels, and time it. For a fresh process: the peak of memory is that of it all.

    Raises:
        BenchError: the voxels are not the expected ones.
    """
    import torch

    host.reset_peaks()
    start_mib = host.own_peak_mib()
    with settings(job.source.config, torch.device("cpu")):
        began = time.perf_counter()
        route = ROUTES[job.route](job.source)
        prepare_s = time.perf_counter() - began
        voxels = fingerprint(route, job.source.config.batch)
        if job.expected not in ("", voxels):
            raise BenchError(f"the route {job.route} gives other voxels than the one before it: nothing was timed")
        began = time.perf_counter()
        batches = route.batches()
        next(batches)
        first_batch_s = time.perf_counter() - began
        rates = [_round(batches, job.seconds) for _ in range(job.rounds)]
    return Fed(
        route=job.route,
        samples=len(route.items()),
        voxels=voxels,
        samples_per_s=tuple(round(rate, 3) for rate in rates),
        prepare_s=round(prepare_s, 3),
        first_batch_s=round(first_batch_s, 4),
        start_mib=round(start_mib, 1),
        peak_mib=round(host.own_peak_mib(), 1),
        disk_mib=round(route.disk_bytes / 2**20, 2),
        reused=route.reused,
        page_cache=_page_cache(job, route.disk_bytes),
    )


def fingerprint(route: Route, count: int) -> str:
    """Digest of which samples there are, and of the voxels of `count` of them, spread over all."""
    items = sorted(route.items())
    chosen = {items[number] for number in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)}
    found = hashlib.sha256(repr(items).encode())
    for item, one in route.samples(chosen):
        found.update(repr((item, one.id, one.image.shape, one.trusted)).encode())
        for array in (one.image, one.target, one.foreground):
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _round(batches: Iterator[Samples], seconds: float) -> float:
    """Samples per second."""
    began = time.perf_counter()
    taken = 0
    for batch in batches:
        taken += len(batch.target)
        if (spent := time.perf_counter() - began) >= seconds:
            return taken / spent
    raise AssertionError("batches have no end")


def _page_cache(job: Job, kept: int) -> str:
    """Where the bytes come from while samples are fed."""
    if job.route == "memory":
        return "no file"
    folder = job.source.view.root
    size = kept or sum(path.stat().st_size for path in folder.rglob("*.nii*"))
    return "warm" if size < _available() else "warm in part"


def _available() -> float:
    """Bytes of memory that files may fill."""
    status = Path("/proc/meminfo")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable")), float("inf"))
