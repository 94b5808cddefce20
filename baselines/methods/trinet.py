"""Tri-network: three networks, each learning from what both others find easy."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import voxel_cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import between
from baselines.selection import mean_over, smallest
from converters.dataset import IGNORE


class TriNet(Method):
    """L = 1/3 sum_k CE_k over the voxels that are easy to both other networks.

    Zhang et al., MICCAI 2020, as PyMIC's noisy-label study has it: easy to a network are the R(t) = 1 - (1 - keep) r(t)
    of the annotated voxels of a batch with the smallest cross-entropy, r a linear ramp (published: from step 1000 to
    step 8000 of 10 000; keep = 0.9). The mean of the three logits predicts, as there.

    Differs from the public code: voxels without annotation are neither ranked nor counted; the quantile is a rank in
    sorted losses, for torch's own takes no more than 2^24 of them; where no voxel is easy to both others, the term is 0
    and not 0 / 0; cross-entropy is that of the logits, not of 0.999 p + 0.0005.

    Limit: with keep = 1, each network has a third of the plain cross-entropy.
    """

    paper: ClassVar[str] = "Zhang et al., MICCAI 2020 (tri-network)"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)
    one_rank: ClassVar[str] = "it ranks all voxels of a batch by their losses"

    def __init__(self, make: Make, keep: float = 0.9, start: float = 0.1, end: float = 0.8) -> None:
        super().__init__(make)
        self.keep, self.start, self.end = keep, start, end
        self.second, self.third = make(), make()

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce_first`, `ce_second`, `ce_third`, one for each network."""
        share = 1 - (1 - self.keep) * between(progress, self.start, self.end)
        networks = (self.net, self.second, self.third)
        first, second, third = (voxel_cross_entropy(net(batch.image)[0], batch.target) for net in networks)
        easy = [smallest(loss, batch.target != IGNORE, share) for loss in (first, second, third)]
        return {
            "ce_first": mean_over(first, easy[1] & easy[2]) / 3,
            "ce_second": mean_over(second, easy[0] & easy[2]) / 3,
            "ce_third": mean_over(third, easy[0] & easy[1]) / 3,
        }

    def logits(self, image: Tensor) -> Tensor:
        """Mean of the three networks."""
        mean: Tensor = (self.net(image)[0] + self.second(image)[0] + self.third(image)[0]) / 3
        return mean
