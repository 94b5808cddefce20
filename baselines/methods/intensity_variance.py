"""Partial cross-entropy, and classes that differ in intensity more than their voxels do."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.regularisers import intensity_variance


class IntensityVariance(Method):
    """L = pCE + lambda(t) (intra - inter): the SD of intensity within classes, less that of their means.

    A method of WSL4MIS without a paper of its own; it is Otsu's criterion (IEEE TSMC 1979) on soft classes. lambda(t) =
    weight * ramp over the whole training (published: 0.1 at 30 000 steps). I is brought to [0, 1] in each sample.

    Differs from that code in sign and in what is measured. It minimises inter - intra, which draws the means of classes
    together and spreads each class; and its SDs are those of I p_c over all voxels, outside the class too, which depend
    on how large a class is. Here both are weighted by p_c: `regularisers.intensity_variance`.
    """

    paper: ClassVar[str] = "WSL4MIS code, after Otsu, IEEE TSMC 1979"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(self, make: Make, weight: float = 0.1) -> None:
        super().__init__(make)
        self.weight = weight

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `variance`."""
        logits = self.logits(batch.image)
        variance = intensity_variance(logits.softmax(1), batch.image)
        return {
            "ce": cross_entropy(logits, batch.target),
            "variance": self.weight * ramp_up(progress) * variance,
        }
