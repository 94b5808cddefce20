"""Partial cross-entropy, and the Mumford-Shah functional: classes of one intensity, within short boundaries."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.regularisers import mumford_shah

_BATCH = 12  # of which the published weight is told


class MumfordShah(Method):
    """L = pCE + weight * [sum_c sum_i p_c(i) (I(i) - mu_c)^2 + length * sum_i |grad p(i)|], mu_c = sum I p_c / sum p_c.

    Kim and Ye, IEEE TIP 2020, as in WSL4MIS: weight 1e-6, length 1, sums (not means) over all voxels of a batch of 12,
    there 256 x 256 pixels each: with fewer pixels in an image it weighs less. I is brought to [0, 1] in each sample and
    channel, as the images of WSL4MIS are; there the range is that of the volume.

    Differs: the sum is 12 times the mean over samples, the same in a batch of 12, so that parts of a batch and other
    batches do not change what it weighs. PyMIC reads weight and norm by names that its configuration never holds, so
    they have no effect there.
    """

    paper: ClassVar[str] = "Kim and Ye, IEEE TIP 2020"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(self, make: Make, weight: float = 1e-6, length: float = 1.0) -> None:
        super().__init__(make)
        self.weight, self.length = weight, length

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `mumford_shah`."""
        logits = self.logits(batch.image)
        return {
            "ce": cross_entropy(logits, batch.target),
            "mumford_shah": self.weight * _BATCH * mumford_shah(logits.softmax(1), batch.image, self.length),
        }
