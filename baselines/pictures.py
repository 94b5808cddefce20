"""Tasks whose answer is an image: the image itself, out of a narrow code or out of a coarser one."""

import dataclasses
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.degrade import degraded
from baselines.goal import Goal
from baselines.task import Task


@dataclasses.dataclass(frozen=True)
class Picture(Goal):
    """The normalised image; nobody has to annotate anything for it."""

    name: str
    task: Task
    dims: int  # of the patch

    @property
    def head(self) -> Literal["residual", "code"]:
        """A coarse image is corrected; an image that is there already is only to be had through a code."""
        return "residual" if self.task.factor > 1 else "code"

    def outputs(self, channels: int) -> int:
        """An image like the one given."""
        return channels

    def terms(self, logits: Callable[[Tensor], Tensor], batch: Batch) -> dict[str, Tensor]:
        """`mse`, in normalised intensities: what PSNR is made of."""
        return {"mse": ranks.mean(torch.square(logits(self._coarse(batch.image)) - batch.image))}

    def given(self, image: Tensor) -> Tensor:
        """The image as a coarser scan would show it, where that is the task."""
        return degraded(image, self.dims, self.task.factor) if self.task.factor > 1 else image

    def _coarse(self, image: Tensor) -> Tensor:
        """The same of patches, which begin anywhere in a coarse voxel. Shape: (B, C, *S)."""
        factor = self.task.factor
        if factor == 1:
            return image
        starts = [0] * (3 - self.dims) + torch.randint(factor, (self.dims,)).tolist()
        # A slice has its channels where a volume has its depth, and they are left alone.
        volumes = image if self.dims == 2 else image.flatten(0, 1)
        return degraded(volumes, self.dims, factor, starts).reshape(image.shape)
