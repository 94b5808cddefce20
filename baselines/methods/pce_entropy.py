"""Partial cross-entropy, and entropy kept low everywhere."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy, entropy
from baselines.method import Method
from baselines.nets import Make


class PCEEntropy(Method):
    """L = pCE + weight * mean over all voxels of -sum_c p log p / log K.

    Grandvalet and Bengio, NeurIPS 2004, as in WSL4MIS: weight 0.1 from the first step, 60 000 steps of batch 12. PyMIC
    lets the weight rise and mixes p with 0.1 % of the uniform distribution instead of adding 1e-6 in the logarithm.
    """

    paper: ClassVar[str] = "Grandvalet and Bengio, NeurIPS 2004"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(self, make: Make, weight: float = 0.1) -> None:
        super().__init__(make)
        self.weight = weight

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `entropy`."""
        logits = self.logits(batch.image)
        return {
            "ce": cross_entropy(logits, batch.target),
            "entropy": self.weight * entropy(logits.softmax(1)).mean(),
        }
