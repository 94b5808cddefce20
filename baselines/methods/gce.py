"""Generalised cross-entropy: a loss that wrong labels pull less."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import generalised_cross_entropy, soft_dice
from baselines.method import Method
from baselines.nets import Make


class GCE(Method):
    """(1 - p^q) / q over annotated voxels, optionally with soft Dice.

    Zhang and Sabuncu, NeurIPS 2018, eq. 6; q = 0.5 as in PyMIC's noisy-label study. The paper has no Dice term, so
    its default weight is 0.

    Limit: cross-entropy at q -> 0, and at q = 1 mean absolute error.
    """

    paper: ClassVar[str] = "Zhang and Sabuncu, NeurIPS 2018"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)

    def __init__(self, make: Make, q: float = 0.5, dice: float = 0.0) -> None:
        super().__init__(make)
        self.q, self.dice = q, dice

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `gce` and, where it has weight, `dice`."""
        logits = self.logits(batch.image)
        terms = {"gce": generalised_cross_entropy(logits, batch.target, self.q)}
        if self.dice:
            terms["dice"] = self.dice * soft_dice(logits, batch.target)
        return terms
