"""Batches on the device a training runs on, made a little before they are asked for."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from baselines import ranks
from baselines.ahead import prefetch
from baselines.batch import Loaded, Samples, Share
from baselines.resident import Resident, fits
from baselines.sampler import Draw, Sampler, gather
from converters.dataset import IGNORE


class Feed(Iterator[Loaded]):
    """The batch of each step, on the device; `kind` says where it is gathered.

    "gpu": the cases live on the device and batches are cut out there; "host": batches are cut out of the mapped packs
    and sent. Both are the same, bit for bit.
    """

    kind: Literal["gpu", "host"]

    def __init__(self, sampler: Sampler, steps: Iterable[int], device: torch.device, parts: int = 1) -> None:
        resident = fits(sampler.cases, sampler.config.patch, device)
        self.kind = "gpu" if resident else "host"
        made = _resident if resident else _from_host
        self._batches = made(sampler, steps, device, parts)

    def __next__(self) -> Loaded:
        """The next batch. An error of the sampler is raised here, as itself."""
        return next(self._batches)


def feed(sampler: Sampler, steps: Iterable[int], device: torch.device, parts: int = 1) -> Feed:
    """The batch of each step, on the device; on a GPU out of cases that live there where they fit.

    Where several ranks share a batch, what this one has of it, so that each of so many parts has the mix of the batch.
    """
    return Feed(sampler, steps, device, parts)


def _resident(sampler: Sampler, steps: Iterable[int], device: torch.device, parts: int) -> Iterator[Loaded]:
    resident = Resident(sampler.cases, sampler.config.patch, device)

    def drawn(step: int) -> tuple[Draw, tuple[bool, ...], Share | None]:
        draw, share = _own(sampler, step, parts)
        return draw, sampler.annotated(draw), share

    for draw, annotated, share in prefetch(drawn, steps):
        yield dataclasses.replace(resident.gather(draw, annotated), share=share)


def _from_host(sampler: Sampler, steps: Iterable[int], device: torch.device, parts: int) -> Iterator[Loaded]:
    pinned = device.type == "cuda"

    def made(step: int) -> Loaded:
        draw, share = _own(sampler, step, parts)
        samples = gather(sampler.cases, draw, sampler.config.patch)
        return dataclasses.replace(on_host(samples, pinned=pinned), share=share)

    for loaded in prefetch(made, steps):
        yield moved(loaded, device)


def _own(sampler: Sampler, step: int, parts: int) -> tuple[Draw, Share | None]:
    """What this process takes of a batch: all of it, or its share. Every rank draws the whole, which reads no image."""
    draw = sampler.draw(step)
    if ranks.count() == 1:
        return draw, None
    each = [ranks.rows(len(draw.case), parts, of) for of in range(ranks.count())]
    own = each.pop(ranks.rank())
    elsewhere = sampler.annotated(draw.only([row for rows in each for row in rows]))
    return draw.only(own), Share(rows=own, case=draw.case, elsewhere=elsewhere)


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
        annotated=tuple(_annotated(samples)),
        step=samples.step,
        value=tensor("value"),
    )


def _annotated(samples: Samples) -> Iterable[bool]:
    found = (samples.target != IGNORE).any(tuple(range(1, samples.target.ndim)))
    return map(bool, found | ~np.isnan(samples.value) if len(samples.value) else found)


def moved(loaded: Loaded, device: torch.device) -> Loaded:
    """The same on a device; nothing is copied where it lies there already."""
    return dataclasses.replace(
        loaded,
        image=loaded.image.to(device, non_blocking=True),
        target=loaded.target.to(device, non_blocking=True),
        case=loaded.case.to(device, non_blocking=True),
        slice=loaded.slice.to(device, non_blocking=True),
        trusted=loaded.trusted.to(device, non_blocking=True),
        value=loaded.value.to(device, non_blocking=True),
    )
