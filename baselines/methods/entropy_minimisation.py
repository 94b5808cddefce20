"""Entropy minimisation: predictions are to be certain, whatever they are."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.losses import entropy, supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up


class EntropyMinimisation(Method):
    """L = 0.5 (CE + Dice) + lambda(t) mean(-sum_c p log p / log K), over annotated and unannotated images.

    Grandvalet and Bengio, NeurIPS 2004; for segmentation ADVENT (Vu et al., CVPR 2019), whose entropy is over
    unannotated images alone. In the setting of SSL4MIS: lambda(t) = weight * sigmoid ramp over the whole training
    (published: 0.1 at 30 000 steps). The ramp there rises every 150 steps, here at each; PyMIC's runs from step 2 000
    to 20 000.
    """

    paper: ClassVar[str] = "Grandvalet and Bengio, NeurIPS 2004; Vu et al., CVPR 2019"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(self, make: Make, weight: float = 0.1) -> None:
        super().__init__(make)
        self.weight = weight

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `entropy`."""
        logits, target, pool = self.both(batch)
        every = logits if len(logits) == len(batch.annotated) else torch.cat((logits, pool))
        return {
            **supervision(logits, target),
            "entropy": self.weight * ramp_up(progress) * ranks.mean(entropy(every.softmax(1))),
        }
