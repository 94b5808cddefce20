"""Batches on the device a training runs on, made a little before they are asked for."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal

import torch
from torch import Tensor

from baselines.ahead import prefetch
from baselines.batch import Loaded, Samples
from baselines.resident import Resident, fits
from baselines.sampler import Draw, Sampler
from converters.dataset import IGNORE


class Feed(Iterator[Loaded]):
    """The batch of each step, on the device; `kind` says where it is gathered.

    "gpu": the cases live on the device and batches are cut out there; "host": batches are cut out of the mapped packs
    and sent. Both are the same, bit for bit.
    """

    kind: Literal["gpu", "host"]

    def __init__(self, sampler: Sampler, steps: Iterable[int], device: torch.device) -> None:
        resident = fits(sampler.cases, sampler.config.patch, device)
        self.kind = "gpu" if resident else "host"
        self._batches = _resident(sampler, steps, device) if resident else _from_host(sampler, steps, device)

    def __next__(self) -> Loaded:
        """The next batch. An error of the sampler is raised here, as itself."""
        return next(self._batches)


def feed(sampler: Sampler, steps: Iterable[int], device: torch.device) -> Feed:
    """The batch of each step, on the device; on a GPU out of cases that live there where they fit."""
    return Feed(sampler, steps, device)


def _resident(sampler: Sampler, steps: Iterable[int], device: torch.device) -> Iterator[Loaded]:
    resident = Resident(sampler.cases, sampler.config.patch, device)

    def drawn(step: int) -> tuple[Draw, tuple[bool, ...]]:
        draw = sampler.draw(step)
        return draw, sampler.annotated(draw)

    for draw, annotated in prefetch(drawn, steps):
        yield resident.gather(draw, annotated)


def _from_host(sampler: Sampler, steps: Iterable[int], device: torch.device) -> Iterator[Loaded]:
    pinned = device.type == "cuda"
    for loaded in prefetch(lambda step: on_host(sampler(step), pinned=pinned), steps):
        yield moved(loaded, device)


def on_host(samples: Samples, *, pinned: bool = False) -> Loaded:
    """Samples as tensors on the host: the same memory, or a copy a GPU can fetch while the host goes on."""

    def tensor(name: str) -> Tensor:
        made = torch.from_numpy(getattr(samples, name))
        return made.pin_memory() if pinned else made

    return Loaded(
        image=tensor("image"),
        target=tensor("target"),
        case=tensor("case"),
        slice=tensor("slice"),
        trusted=tensor("trusted"),
        annotated=tuple((samples.target != IGNORE).any(tuple(range(1, samples.target.ndim))).tolist()),
        step=samples.step,
    )


def moved(loaded: Loaded, device: torch.device) -> Loaded:
    """The same on a device; nothing is copied where it lies there already."""
    return dataclasses.replace(
        loaded,
        image=loaded.image.to(device, non_blocking=True),
        target=loaded.target.to(device, non_blocking=True),
        case=loaded.case.to(device, non_blocking=True),
        slice=loaded.slice.to(device, non_blocking=True),
        trusted=loaded.trusted.to(device, non_blocking=True),
    )
