"""Co-teaching: two networks, each learning from what the other one finds easy."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy, voxel_cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.selection import smallest
from converters.dataset import IGNORE


class CoTeaching(Method):
    """L = CE_1 over the voxels easy to net 2 + CE_2 over those easy to net 1.

    Han et al., NeurIPS 2018, algorithm 1, voxel by voxel as PyMIC's noisy-label study has it: easy are the
    R(t) = 1 - (1 - keep) r(t) of the annotated voxels of a batch with the smallest cross-entropy, r a sigmoid ramp
    (published: from step 1000 to step 8000 of 10 000; keep = 0.85 in its configuration, 0.8 in its text). The mean of
    both logits predicts, as in PyMIC.

    Differs from the public code: voxels without annotation are neither ranked nor counted; cross-entropy is that of the
    logits, not of 0.999 p + 0.0005; the mean is over the voxels that are kept, voxels that tie with the last one too.

    Limit: with keep = 1, each network has the plain cross-entropy.
    """

    paper: ClassVar[str] = "Han et al., NeurIPS 2018"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)
    reduces: ClassVar[Mapping[str, float]] = {"keep": 1.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}
    one_rank: ClassVar[str] = "it ranks all voxels of a batch by their losses"

    def __init__(self, make: Make, keep: float = 0.85, start: float = 0.1, end: float = 0.8) -> None:
        super().__init__(make)
        self.keep, self.start, self.end = keep, start, end
        self.peer = make()

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce_first` and `ce_second`, one for each network."""
        share = 1 - (1 - self.keep) * ramp_up(progress, self.start, self.end)
        first, second = self.net(batch.image)[0], self.peer(batch.image)[0]
        annotated = batch.target != IGNORE
        easy_first, easy_second = (
            smallest(voxel_cross_entropy(logits.detach(), batch.target), annotated, share).float()
            for logits in (first, second)
        )
        return {
            "ce_first": cross_entropy(first, batch.target, easy_second),
            "ce_second": cross_entropy(second, batch.target, easy_first),
        }

    def logits(self, image: Tensor) -> Tensor:
        """Mean of both networks."""
        mean: Tensor = (self.net(image)[0] + self.peer(image)[0]) / 2
        return mean
