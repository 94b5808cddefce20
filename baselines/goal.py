"""A task as one model has it: what it is given, what it learns, and what hangs on the cases it was trained on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

from torch import Tensor

from baselines.batch import Batch
from baselines.task import Task


class Goal(ABC):
    """What is learnt in the place of label maps: `values.py`, `pictures.py`."""

    task: Task

    @property
    @abstractmethod
    def head(self) -> Literal["pooled", "residual", "code"]:
        """Of the network: `NetSpec.head`."""

    @abstractmethod
    def outputs(self, channels: int) -> int:
        """How many numbers the network gives, for each patch or voxel, of images with so many channels."""

    @abstractmethod
    def terms(self, logits: Callable[[Tensor], Tensor], batch: Batch) -> dict[str, Tensor]:
        """Named loss terms of a batch; `logits` is what the network makes of images."""

    def given(self, image: Tensor) -> Tensor:
        """What the network is shown of a whole case. Shape: (C, D, H, W) on the network's grid -> the same."""
        return image
