"""Confident learning with spatial label smoothing: labels that a first network doubts weigh less for a second one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from baselines import confident
from baselines.batch import Batch, classes_one_hot, without_doubt
from baselines.method import Method
from baselines.nets import Make
from baselines.stages import DOUBTED, Drawn, Seen, Stage
from converters.errors import BenchError


class ConfidentLearning(Method):
    """Cross-entropy; then again from fresh weights, with labels smoothed where the first network doubts them.

    Zhang et al., MICCAI 2020 (CLSLSR), as PyMIC's noisy-label study has it; doubts as in Northcutt et al., JAIR 2021,
    over all annotated training voxels (`baselines/confident.py`). A doubted label y, one-hot, becomes
    (1 - epsilon) y + epsilon (1 - y) / (K - 1); epsilon = 0.25 there. Both trainings have half of the steps (published:
    10 000 each).

    Differs from the public code: for more than two classes its smoothed label y (1 - 2 epsilon) + epsilon sums to more
    than 1, and this one does not; for two they are the same. A class is confident only where it is above its own
    threshold, as in the paper; cleanlab takes the most probable class of all where several are above theirs. Like it,
    the doubts are of cases that the network has learnt from, where Northcutt et al. hold them out.

    Limit: with epsilon = 0, the plain cross-entropy.
    """

    paper: ClassVar[str] = "Zhang et al., MICCAI 2020 (confident learning)"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)
    one_rank: ClassVar[str] = "it ranks all voxels of the view, where rounding can tip the balance"
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage("doubting", share=0.5),
        Stage("smoothed", share=0.5, relabel=True, predicted=True, fresh=True),
    )

    def __init__(self, make: Make, epsilon: float = 0.25) -> None:
        super().__init__(make)
        self.epsilon = epsilon

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """One term, `ce`; no label is doubted in the first stage."""
        logits = self.logits(batch.image)
        code, doubted = without_doubt(batch.target)
        one_hot, annotated = classes_one_hot(code, logits.shape[1])
        smooth = (1 - self.epsilon) * one_hot + self.epsilon * (1 - one_hot) / (logits.shape[1] - 1)
        label = torch.where(doubted.unsqueeze(1), smooth, one_hot)
        return {"ce": -(label * logits.log_softmax(1)).sum() / annotated.sum().clamp(min=1)}

    def relabel(self, cases: Sequence[Seen]) -> Iterator[Drawn]:
        """The labels of the view, with `DOUBTED` added where they are doubted. Goes through the cases three times."""
        doubts = confident.doubts(cases)
        if len(doubts.margin) >= DOUBTED:
            raise BenchError(f"{len(doubts.margin)} classes", mend=f"confident_learning takes less than {DOUBTED}")
        for seen in cases:
            yield np.where(doubts.of(seen), seen.label + DOUBTED, seen.label).astype(np.uint8)
