"""Batch: what a method is handed, on one device."""

import dataclasses

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from converters.dataset import IGNORE


@dataclasses.dataclass(frozen=True)
class Samples:
    """A batch as the prefetch thread makes it: numpy, before augmentation.

    Shape: image (B, C, *S) float16, as it is cached; target (B, *S) uint8, 255 where nobody annotated; case, slice (B,)
    int64; trusted (B,) bool.
    """

    image: npt.NDArray[np.float16]
    target: npt.NDArray[np.uint8]
    case: npt.NDArray[np.int64]  # index into the view's cases
    slice: npt.NDArray[np.int64]  # first slice of the sample in the case
    trusted: npt.NDArray[np.bool_]  # the view does not call this label noisy
    step: int


@dataclasses.dataclass(frozen=True)
class Loaded:
    """Samples as tensors on one device, before augmentation.

    Shape: image (B, C, *S) float16; target (B, *S) uint8, 255 where nobody annotated; case, slice (B,) int64; trusted
    (B,) bool.
    """

    image: Tensor
    target: Tensor
    case: Tensor
    slice: Tensor
    trusted: Tensor
    step: int


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples after augmentation, as tensors on one device.

    Shape: image (B, C, *S) float32; target (B, *S) int64, 255 where nobody annotated; case, slice (B,);
    grid (B, n, n + 1): the affine part of the sampling transform in torch's normalised coordinates; trusted (B,) bool:
    annotated, and the view does not call the label noisy.
    """

    image: Tensor
    target: Tensor
    case: Tensor
    slice: Tensor
    grid: Tensor
    trusted: Tensor

    @property
    def annotated(self) -> Tensor:
        """(B,) bool: samples in which somebody annotated at least one voxel."""
        return (self.target != IGNORE).flatten(1).any(1)

    def where(self, chosen: Tensor) -> "Batch":
        """The samples for which `chosen` (B,) bool holds."""
        return Batch(*(getattr(self, field.name)[chosen] for field in dataclasses.fields(self)))


def classes_one_hot(target: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Target as one-hot and the mask of annotated voxels; unannotated voxels are all zero.

    Shape: (B, *S) int -> (B, K, *S) float32, (B, 1, *S) float32. Raises through indexing if a code is not below K.
    """
    annotated = target != IGNORE
    safe = torch.where(annotated, target, 0)
    one_hot = torch.nn.functional.one_hot(safe, classes).movedim(-1, 1).float()
    mask = annotated.unsqueeze(1).float()
    return one_hot * mask, mask
