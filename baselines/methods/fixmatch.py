"""FixMatch: confident predictions of an image are the labels of its strongly changed copy."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.losses import soft_dice, supervision, voxel_cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.perturb import cutout, strong


class FixMatch(Method):
    """L = 0.5 (CE + Dice) + weight 0.5 (mean M CE(p(strong x_u), q) + Dice_M(p(strong x_u), q)).

    q = argmax p(x_u) and M = [max p(x_u) > 0.95], without gradient; the mean is over all voxels, the sums of Dice_M are
    over those with M. x_u is what geometric augmentation made of an image; its strong copy is jittered, blurred and cut
    out, so it needs no other label. Sohn et al., NeurIPS 2020: weight 1 throughout, for the threshold is a ramp; there
    without Dice, which is here what it is in L_sup.

    Differs from SSL4MIS: that normalises confidence by its largest value, feeds probabilities to a cross-entropy that
    takes logits (of the complementary classes), and weighs by a ramp to 0.1. Where every image is annotated, pseudo
    labels are taken on all images.
    """

    paper: ClassVar[str] = "Sohn et al., NeurIPS 2020"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(self, make: Make, weight: float = 1.0, threshold: float = 0.95) -> None:
        super().__init__(make)
        self.weight, self.threshold = weight, threshold

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `pseudo_ce`, `pseudo_dice`."""
        logits, target, weak = self.both(batch)
        confidence, pseudo = weak.detach().softmax(1).max(1)
        sure = (confidence > self.threshold).float()
        changed = self.logits(cutout(strong(batch.image[batch.pool()])))
        return {
            **supervision(logits, target),
            "pseudo_ce": self.weight * 0.5 * ranks.mean(sure * voxel_cross_entropy(changed, pseudo)),
            "pseudo_dice": self.weight * 0.5 * soft_dice(changed, pseudo, sure),
        }
