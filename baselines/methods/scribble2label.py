"""Scribble2Label: labels that grow from the running average of one's own predictions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from baselines.batch import Batch, without_doubt
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.stages import DOUBTED, Drawn, Seen, Stage
from converters.dataset import IGNORE


class Scribble2Label(Method):
    """L = pCE(scribbles) + weight * CE(certain voxels), both means over their own voxels.

    Lee and Jeong, MICCAI 2020; alpha 0.2, threshold 0.8, weight 0.5. After a warm-up on scribbles alone (published:
    6000 of 60 000 steps in WSL4MIS, 100 epochs in the paper's code), the training cases are predicted before each
    further stage and the running average m <- alpha p + (1 - alpha) m is moved, m = 0 before the first; a voxel nobody
    drew on whose average is above the threshold for a class gets that class.

    Differs from the public codes, which move the average every 100 steps (5 epochs), from the first on: three times
    here, for predicting all cases is dear, and the average is divided by the weight it has gathered, 1 - (1 - alpha)^n.
    Theirs has long gathered all of it when it is first used; without that no voxel could pass 0.8 before the eighth
    time. There the network is in training mode when it predicts; here it is in evaluation mode. The learning rate
    begins anew with each stage. A case in which nobody drew keeps no label.

    Limit: with weight 0 it is partial cross-entropy in several stages; with dense labels no voxel is left to grow.
    """

    paper: ClassVar[str] = "Lee and Jeong, MICCAI 2020"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage("warm-up", share=0.1),
        *(Stage(name, share=0.3, relabel=True, predicted=True) for name in ("first", "second", "third")),
    )

    def __init__(self, make: Make, weight: float = 0.5, alpha: float = 0.2, threshold: float = 0.8) -> None:
        super().__init__(make)
        self.weight, self.alpha, self.threshold = weight, alpha, threshold

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and, after the warm-up, `pseudo`."""
        logits = self.logits(batch.image)
        if not self.stage.relabel:
            return {"ce": cross_entropy(logits, batch.target)}
        code, grown = without_doubt(batch.target)
        drawn = torch.where(grown, IGNORE, batch.target)
        pseudo = torch.where(grown, code, IGNORE)
        return {
            "ce": cross_entropy(logits, drawn),
            "pseudo": self.weight * cross_entropy(logits, pseudo),
        }

    def relabel(self, cases: Sequence[Seen]) -> Iterator[Drawn]:
        """Scribbles, and certain voxels with `DOUBTED` added; the running average is the state."""
        for case in cases:
            p = case.probabilities
            assert p is not None  # the stage asks for them
            before = np.zeros((), np.float32) if case.previous is None else case.previous.astype(np.float32)
            average = self.alpha * p + (1 - self.alpha) * before
            # Each p sums to 1 over the classes: the sum of the average is the weight that it has gathered.
            certain = average.max(0) > self.threshold * average.sum(0)
            grows = (case.label == IGNORE) & certain & (case.label != IGNORE).any()
            label = np.where(grows, average.argmax(0) + DOUBTED, case.label).astype(np.uint8)
            yield label, average.astype(np.float16)
