"""Mean absolute error: a loss that every wrong label pulls alike."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines import ranks
from baselines.batch import Batch, classes_one_hot
from baselines.method import Method


class MAE(Method):
    """mean |p - y| over annotated voxels and classes, y one-hot; that is 2 (1 - p_y) / K with K classes.

    Ghosh, Kumar and Sastry, AAAI 2017, as PyMIC's noisy-label study scales it. No option.

    Limit: 2 / K times generalised cross-entropy at q = 1.
    """

    paper: ClassVar[str] = "Ghosh et al., AAAI 2017"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """One term, `mae`."""
        logits = self.logits(batch.image)
        one_hot, annotated = classes_one_hot(batch.target, logits.shape[1])
        off = (logits.softmax(1) - one_hot).abs() * annotated
        off, voxels = ranks.total(off.sum(), annotated.sum())
        return {"mae": off / (logits.shape[1] * voxels).clamp(min=1)}
