"""Partial cross-entropy, and short contours."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.regularisers import total_variation


class PCETotalVariation(Method):
    """L = pCE + weight * mean relu(dilated(eroded(p)) - eroded(p)) over foreground classes.

    Total variation by soft morphology (Javanmardi et al., arXiv 2016), as in WSL4MIS: weight 0.01 from the first step,
    pooling with an edge of 3 pixels. WSL4MIS leaves out the first sample of a batch where it means the background, and
    PyMIC pools 2D predictions across classes: see `regularisers.total_variation`. In 3D the pooling is over
    3 x 3 x 3 voxels.
    """

    paper: ClassVar[str] = "Javanmardi et al., arXiv 2016"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(self, make: Make, weight: float = 0.01) -> None:
        super().__init__(make)
        self.weight = weight

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `tv`."""
        logits = self.logits(batch.image)
        return {
            "ce": cross_entropy(logits, batch.target),
            "tv": self.weight * total_variation(logits.softmax(1)),
        }
