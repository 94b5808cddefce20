"""Noise-robust Dice: between Dice and mean absolute error."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines import ranks
from baselines.batch import Batch, classes_one_hot
from baselines.method import Method
from baselines.nets import Make


class NRDice(Method):
    """Mean over classes of sum |p - y|^gamma / (sum p^2 + sum y^2 + e), over annotated voxels, e = 1e-5.

    Wang et al., IEEE TMI 2020 (COPLE-Net); gamma = 1.5 there and in PyMIC's noisy-label study. Sums are over the batch,
    and the background is a class.

    Limit: soft Dice at gamma = 2, as the paper derives it. PyMIC divides by sum p + sum y, which has no such limit.
    """

    paper: ClassVar[str] = "Wang et al., IEEE TMI 2020"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)

    def __init__(self, make: Make, gamma: float = 1.5) -> None:
        super().__init__(make)
        self.gamma = gamma

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """One term, `nr_dice`."""
        logits = self.logits(batch.image)
        one_hot, annotated = classes_one_hot(batch.target, logits.shape[1])
        p = logits.softmax(1) * annotated
        axes = (0, *range(2, p.ndim))
        size = (p * p).sum(axes) + (one_hot * one_hot).sum(axes)
        off, size = ranks.total((p - one_hot).abs().pow(self.gamma).sum(axes), size)
        return {"nr_dice": (off / (size + 1e-5)).mean()}
