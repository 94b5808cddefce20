"""DAST: one branch for clean labels, one for noisy ones; how far they part tells what a noisy label is worth."""

import functools
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines.batch import Batch, classes_one_hot
from baselines.losses import divergence, sharpen, symmetric_divergence, voxel_cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.selection import mean_over
from converters.dataset import IGNORE


class DAST(Method):
    """L = (CE(b0, clean) + CE(b1, noisy)) / 2 + w(t) symKL(b0, b1) and w(t) mean |p_b0 - pseudo label|.

    Yang et al., IEEE JBHI 2022, as PyMIC's noisy-label study has it. Two decoders b0, b1 on one encoder; half of a
    batch has labels that the view calls clean (a noisy view with `trusted=1`; any other is refused), half has noisy
    ones. Of the noisy half, with V the symmetric KL of both branches, l_n = mean CE(b0) exp(-16 V) and l_c = mean
    CE(b1) exp(-16 V) are ranked among those of the last 20 steps. Only where l_n < l_c: if l_c is in the top fifth, the
    noise is severe, and symKL is added, each branch drawn to the other as it stands; if l_n is at most the fifth
    smallest, the noise is mild, and b0 learns from the mean of both branches' decisions and the label, sharpened with
    T = 0.5. w(t) = 0.1 times a sigmoid ramp (published: from step 1000 to step 8000 of 10 000). Branch b0 predicts.

    Differs from the public code: nothing is added before 20 batches were ranked (there an empty queue counts as rank
    -1, which is mild); sharpening is p^(1/T) / sum p^(1/T), the same for two classes; cross-entropy is that of the
    logits, not of 0.999 p + 0.0005; voxels without annotation count nowhere. The paper could not be read: l_n and l_c
    are as the code has them. Where a batch comes in parts, each part is ranked.

    Limit: with weight = 0, each branch has half of the plain cross-entropy of its samples.
    """

    paper: ClassVar[str] = "Yang et al., IEEE JBHI 2022"
    protocols: ClassVar[tuple[str, ...]] = ("noisy",)
    composition: ClassVar[Mapping[str, int]] = {"trusted": 1, "untrusted": 1}
    one_rank: ClassVar[str] = "it ranks batches by their losses"

    last: Tensor  # l_n and l_c of the last steps, oldest first
    ranked: Tensor  # how many there were so far

    def __init__(
        self, make: Make, weight: float = 0.1, length: int = 20, select: float = 0.2, temperature: float = 0.5
    ) -> None:
        super().__init__(functools.partial(make, decoders=2))
        self.weight, self.select, self.temperature = weight, select, temperature
        self.start, self.end = 0.1, 0.8
        self.register_buffer("last", torch.zeros(2, length))
        self.register_buffer("ranked", torch.zeros((), dtype=torch.long))

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce_clean`, `ce_noisy`, `divergence`, `supplement`; the last two are 0 where a rank says so."""
        features = self.net.encode(batch.image)
        clean, noisy = self.net.decode(features, 0)[0], self.net.decode(features, 1)[0]
        trusted = batch.trusted.view(-1, *[1] * (batch.target.ndim - 1))
        annotated = batch.target != IGNORE
        of_noisy = annotated & ~trusted
        fits = [voxel_cross_entropy(logits, batch.target) for logits in (clean, noisy)]
        severe, mild = self._judge(clean, noisy, fits, of_noisy)
        apart = divergence(noisy.softmax(1).detach(), clean) + divergence(clean.softmax(1).detach(), noisy)
        off = (clean.softmax(1) - self._pseudo(clean, noisy, batch.target)).abs().mean(1)
        weight = self.weight * ramp_up(progress, self.start, self.end)
        return {
            "ce_clean": mean_over(fits[0], annotated & trusted) / 2,
            "ce_noisy": mean_over(fits[1], of_noisy) / 2,
            "divergence": weight * severe * mean_over(apart, of_noisy) / 2,
            "supplement": weight * mild * mean_over(off, of_noisy),
        }

    @torch.no_grad()
    def _judge(self, clean: Tensor, noisy: Tensor, fits: list[Tensor], voxels: Tensor) -> tuple[Tensor, Tensor]:
        """Whether the noise of this batch is severe, and whether it is mild: each 0 or 1. Remembers its two losses."""
        near = torch.exp(-16 * symmetric_divergence(clean, noisy))
        losses = torch.stack([mean_over(fit * near, voxels) for fit in fits])  # l_n, l_c
        length = self.last.shape[1]
        known = torch.cat((self.last[:, 1:], losses[:, None]), 1)
        rank = (known < losses[:, None]).sum(1)  # 0 is the smallest
        told = (losses[0] < losses[1]) & (self.ranked >= length)
        if self.training:
            self.last.copy_(known)
            self.ranked += 1
        severe = told & (rank[1] >= length * (1 - self.select))
        mild = told & (rank[0] <= length * self.select)
        return severe.float(), mild.float()

    @torch.no_grad()
    def _pseudo(self, clean: Tensor, noisy: Tensor, target: Tensor) -> Tensor:
        """Mean of both branches' decisions and the label, sharpened. Shape: (B, K, *S)."""
        classes = clean.shape[1]
        votes = [classes_one_hot(logits.argmax(1), classes)[0] for logits in (clean, noisy)]
        return sharpen((votes[0] + votes[1] + classes_one_hot(target, classes)[0]) / 3, self.temperature)
