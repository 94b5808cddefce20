"""DMPLS: two decoders, and a pseudo label mixed anew at each step."""

import functools
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines.batch import Batch
from baselines.branches import branches
from baselines.losses import cross_entropy, soft_dice
from baselines.method import Method
from baselines.nets import Make


class DMPLS(Method):
    """L = (pCE1 + pCE2) / 2 + weight * (Dice(p1, PL) + Dice(p2, PL)) / 2, PL = argmax(b p1 + (1 - b) p2), b ~ U(0, 1).

    Luo et al., MICCAI 2022; weight 0.5; 60 000 steps of batch 12. p2 is of a second decoder, on features of which each
    channel is dropped with probability 0.5; b is one number a step, and no gradient goes through PL. The first decoder
    predicts. Dice as in WSL4MIS: squared, over all classes, sums over the batch.

    Limit: with weight 0 it is the mean of two partial cross-entropies, which share an encoder.
    """

    paper: ClassVar[str] = "Luo et al., MICCAI 2022"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)

    def __init__(self, make: Make, weight: float = 0.5, dropout: float = 0.5) -> None:
        super().__init__(functools.partial(make, decoders=2))
        self.weight, self.dropout = weight, dropout

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `pseudo`."""
        first, second = branches(self.net, batch.image, self.dropout)
        share = torch.rand((), device=first.device)
        label = (share * first.softmax(1) + (1 - share) * second.softmax(1)).argmax(1)
        return {
            "ce": 0.5 * (cross_entropy(first, batch.target) + cross_entropy(second, batch.target)),
            "pseudo": self.weight * 0.5 * (soft_dice(first, label) + soft_dice(second, label)),
        }
