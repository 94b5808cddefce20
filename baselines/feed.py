"""Batches on the device a training runs on, made a little before they are asked for."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from baselines.batch import Loaded, Samples
from baselines.sampler import Sampler, prefetch
from converters.dataset import IGNORE


def feed(sampler: Sampler, steps: Iterable[int], device: torch.device) -> Iterator[Loaded]:
    """The batch of each step, on the device. An error of the sampler is raised here, as itself."""
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
    if device.type == "cpu":
        return loaded
    return Loaded(
        image=loaded.image.to(device, non_blocking=True),
        target=loaded.target.to(device, non_blocking=True),
        case=loaded.case.to(device, non_blocking=True),
        slice=loaded.slice.to(device, non_blocking=True),
        trusted=loaded.trusted.to(device, non_blocking=True),
        annotated=loaded.annotated,
        step=loaded.step,
    )
