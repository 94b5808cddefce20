"""DMSPS: two decoders, a soft pseudo label mixed anew at each step, and scribbles that grow where both are certain."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.branches import branches
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.stages import LabelMap, Seen, Stage
from converters.dataset import IGNORE


class DMSPS(Method):
    """L = (pCE1 + pCE2) / 2 + weight * (CE(p1, S) + CE(p2, S)) / 2, S = a p1 + (1 - a) p2, a ~ U(0, 1) a step.

    Han et al., Medical Image Analysis 2024; weight 8, 30 000 steps of batch 24. CE(p, S) = -mean sum_c S log p; p2 is
    of a second decoder on features with channel dropout 0.5; no gradient goes through S. A second stage goes on from
    these weights, with scribbles grown to all voxels where the entropy of the mean of both softmaxes, over log K, is
    below 0.1; scribbles themselves stay, and so does a case in which nobody drew. The stages share the steps, half
    each (published: up to 30 000 each, stopped early).

    Differs from the public code: its CE takes softmax maps for logits, so that softmax is done twice and the term can
    never come near 0; its second stage draws a from (0.1, 1.1); voxels that are not certain become background there,
    and only the largest component of each structure is kept. The mean of both decoders predicts, which is what labels
    grow from.

    Limit: with weight and dropout 0 and equal decoders it is partial cross-entropy; a dense label does not change.
    """

    paper: ClassVar[str] = "Han et al., Medical Image Analysis 2024"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    stages: ClassVar[tuple[Stage, ...]] = (
        Stage("scribbles", share=0.5),
        Stage("grown", share=0.5, relabel=True, predicted=True),
    )

    def __init__(self, make: Make, weight: float = 8.0, dropout: float = 0.5, threshold: float = 0.1) -> None:
        super().__init__(functools.partial(make, decoders=2))
        self.weight, self.dropout, self.threshold = weight, dropout, threshold

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `pseudo`."""
        first, second = branches(self.net, batch.image, self.dropout)
        share = torch.rand((), device=first.device)
        soft = (share * first.softmax(1) + (1 - share) * second.softmax(1)).detach()
        # The mean of two cross-entropies with one and the same S.
        pseudo = -ranks.mean((soft * 0.5 * (first.log_softmax(1) + second.log_softmax(1))).sum(1))
        return {
            "ce": 0.5 * (cross_entropy(first, batch.target) + cross_entropy(second, batch.target)),
            "pseudo": self.weight * pseudo,
        }

    def logits(self, image: Tensor) -> Tensor:
        """Log of the mean of both decoders' softmax."""
        features = self.net.encode(image)
        both = torch.stack([self.net.decode(features, number)[0].log_softmax(1) for number in range(2)])
        return both.logsumexp(0) - math.log(2)

    def relabel(self, cases: Sequence[Seen]) -> Iterator[LabelMap]:
        """Scribbles, and the likeliest class wherever it is certain enough."""
        for case in cases:
            p = case.probabilities
            assert p is not None  # the stage asks for them
            entropy = -(p * np.log(p + 1e-6)).sum(0) / math.log(len(p))
            grows = (case.label == IGNORE) & (entropy < self.threshold) & (case.label != IGNORE).any()
            yield np.where(grows, p.argmax(0), case.label).astype(np.uint8)
