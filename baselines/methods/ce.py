"""Cross-entropy alone, over what is annotated."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method


class CE(Method):
    """L = mean over annotated voxels of -log p(target), without Dice.

    On scribbles it is the partial cross-entropy (pCE) of that literature (Tang et al., CVPR 2018; its lower bound in
    WSL4MIS), on noisy labels the plain cross-entropy (CE) that robust losses are compared with (PyMIC). It has no
    option: it is `supervised` with ce = 1 and dice = 0.
    """

    paper: ClassVar[str] = "Tang et al., CVPR 2018 (pCE)"
    protocols: ClassVar[tuple[str, ...]] = ("scribble", "noisy")
    reduces: ClassVar[Mapping[str, float] | None] = {}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """One term, `ce`."""
        return {"ce": cross_entropy(self.logits(batch.image), batch.target)}
