"""Batch: what a method is handed, on one device."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from baselines.stages import DOUBTED
from baselines.transfer import sent
from converters.dataset import IGNORE

Rows = slice | Tensor  # what picks samples out of a tensor


@dataclasses.dataclass(frozen=True)
class Samples:
    """A batch as the prefetch thread makes it: numpy, before augmentation.

    Shape: image (B, C, *S) float16, as it is cached; target (B, *S) uint8, 255 where nobody annotated; case, slice (B,)
    int64; trusted (B,) bool; value (B,) float32, what a task asks of the case, NaN where the view shows none, or (0,)
    where no task asks.
    """

    image: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    case: npt.NDArray[np.int64]  # index into the view's cases
    slice: npt.NDArray[np.int64]  # first slice of the sample in the case
    trusted: npt.NDArray[np.bool_]  # the view does not call this label noisy
    step: int
    value: npt.NDArray[np.float32] = dataclasses.field(default_factory=lambda: np.empty(0, np.float32))


@dataclasses.dataclass(frozen=True)
class Share:
    """What one of several ranks has of a batch, and what it knows of the rest."""

    rows: tuple[int, ...]  # the numbers of its samples in the batch
    case: tuple[int, ...]  # of every sample of the batch
    elsewhere: tuple[bool, ...]  # the samples of other ranks: whether somebody annotated at least one voxel


@dataclasses.dataclass(frozen=True)
class Loaded:
    """Samples as tensors on one device, before augmentation.

    Shape: image (B, C, *S) float16; target (B, *S) uint8, 255 where nobody annotated; case, slice (B,) int64; trusted
    (B,) bool; value (B,), see `Samples`. On the host: annotated (B,), samples in which somebody annotated at least one
    voxel, or whose value is shown.
    """

    image: Tensor
    target: Tensor
    case: Tensor
    slice: Tensor
    trusted: Tensor
    annotated: tuple[bool, ...]
    step: int
    share: Share | None = None  # None: these are all samples of the batch
    value: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples after augmentation, as tensors on one device.

    Shape: image (B, C, *S) float32; target (B, *S) int64, 255 where nobody annotated; case, slice (B,);
    grid (B, n, n + 1): the affine part of the sampling transform in torch's normalised coordinates; trusted (B,) bool:
    annotated, and the view does not call the label noisy; value (B,), see `Samples`. On the host, so that a method may
    ask without waiting for a GPU: annotated (B,), as in `Loaded`; elsewhere: the same of the samples that other ranks
    have.
    """

    image: Tensor
    target: Tensor
    case: Tensor
    slice: Tensor
    grid: Tensor
    trusted: Tensor
    annotated: tuple[bool, ...]
    elsewhere: tuple[bool, ...] = ()
    value: Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))

    @property
    def full(self) -> bool:
        """Whether somebody annotated something in every sample, those of other ranks too."""
        return all(self.annotated) and all(self.elsewhere)

    def rows(self, *, annotated: bool) -> Rows:
        """What picks the samples with, or without, any annotation out of a tensor of the batch; no GPU is waited for.

        A slice where they stand side by side, as the sampler lays them out, else their numbers (n,) int64.
        """
        found = [row for row, seen in enumerate(self.annotated) if seen == annotated]
        if not found or found[-1] - found[0] + 1 == len(found):
            return slice(found[0], found[-1] + 1) if found else slice(0)
        return sent(torch.tensor(found), self.image.device)

    def pool(self) -> Rows:
        """What picks the samples that learn without labels: those with no annotation, or all where each has some."""
        return self.rows(annotated=self.full)

    def part(self, number: int, parts: int) -> "Batch":
        """Every `parts`-th sample from `number` on, as views: the mix of the batch where each share divides."""
        return Batch(*(getattr(self, field.name)[number::parts] for field in dataclasses.fields(self)))


def without_doubt(target: Tensor) -> tuple[Tensor, Tensor]:
    """Target without the mark `DOUBTED`, and where it was. Shape: (B, *S) int64 -> the same, (B, *S) bool."""
    doubted = (target >= DOUBTED) & (target != IGNORE)
    return torch.where(doubted, target - DOUBTED, target), doubted


def classes_one_hot(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Target as one-hot and the mask of annotated voxels; unannotated voxels are all zero.

    Shape: (B, *S) int -> (B, K, *S) float32, (B, 1, *S) float32. Raises through indexing if a code is not below K.
    """
    annotated = target != IGNORE
    safe = torch.where(annotated, target, 0)
    # torch's own one_hot reads the largest code first, and counts in int64.
    one_hot = (
        torch.zeros(*target.shape, classes, device=target.device).scatter_(-1, safe.unsqueeze(-1), 1).movedim(-1, 1)
    )
    mask = annotated.unsqueeze(1).float()
    return one_hot * mask, mask
