"""Supervised learning on whatever is annotated: the baseline of every protocol."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import SMOOTH, Balance, supervision
from baselines.method import Method
from baselines.nets import Make


class Supervised(Method):
    """Cross-entropy and soft Dice over annotated voxels, half each (0.5 (CE + Dice), as in SSL4MIS).

    On scribbles this is partial cross-entropy plus partial Dice, as in nnU-Net with an ignore label; with `dice=0`
    and `ce=1` it is the plain partial cross-entropy of the scribble literature. `smooth` is what the Dice of a class
    adds to both sides of its fraction. Of the other tasks (`docs/tasks.md`) it learns the terms of the task.
    """

    protocols: ClassVar[tuple[str, ...]] = ("full", "semi", "scribble", "noisy")
    takes: ClassVar[tuple[str, ...]] = ("class", "number", "image", "class weights")

    def __init__(self, make: Make, ce: float = 0.5, dice: float = 0.5, smooth: float = SMOOTH) -> None:
        super().__init__(make)
        self.ce, self.dice, self.smooth = ce, dice, smooth

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `dice`, or those of the task."""
        if self.goal is not None:
            return self.goal.terms(self.logits, batch)
        balance = Balance(self.smooth, self.class_weights)
        return supervision(self.logits(batch.image), batch.target, self.ce, self.dice, balance)
