"""URPC: predictions of several scales are to agree, where they do not differ much."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.losses import divergence, supervision_of
from baselines.method import Method
from baselines.nets import Make
from baselines.perturb import feature_dropout, feature_noise, value_dropout
from baselines.ramps import ramp_up
from converters.errors import UsageError


def unchanged(x: Tensor) -> Tensor:
    """As it is: what the finest head reads."""
    return x


# What is done in training to what each head reads, finest first: up4, up3, up2, up1 of the published decoder.
CHANGES: tuple[Callable[[Tensor], Tensor], ...] = (unchanged, feature_noise, feature_dropout, value_dropout)


class URPC(Method):
    """L = L_sup + lambda(t) mean_s [ mean((m - p_s)^2 w_s) / (mean(w_s) + 1e-8) + mean(D_s) ] over unannotated images.

    s counts the scales, m is the mean of their softmax maps p_s, D_s = KL(m || p_s) of a voxel and w_s = exp(-D_s).
    L_sup is the mean over the scales of 0.5 (CE + Dice). Luo et al., MICCAI 2021 and Medical Image Analysis 2022, in
    the setting of SSL4MIS: heads on four decoder levels, brought to full size by the nearest voxel; in training the
    coarser heads read through dropout 0.5 (coarsest), F-Drop and F-Noise; lambda(t) = weight * ramp over the whole
    training (published: 0.1 at 30 000 steps). The finest scale predicts.

    Differs from the public code: logarithms are taken of logits (log softmax), where its log(p) of a p that is 0 is
    infinite. With `aux` = 0 the finest scale alone is supervised. Where every image is annotated, the consistency is
    taken over all images. A network with fewer levels than `scales` is refused.
    """

    paper: ClassVar[str] = "Luo et al., Medical Image Analysis 2022"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0, "aux": 0.0}

    def __init__(self, make: Make, weight: float = 0.1, aux: float = 1.0, scales: int = 4) -> None:
        """`aux`: how much the supervision of each coarser scale counts against that of the finest.

        Raises:
            UsageError: fewer than 2 scales, or more than there are perturbations for.
            BenchError: the network has not so many levels.
        """
        if not 2 <= scales <= len(CHANGES):
            raise UsageError(f"urpc has 2 to {len(CHANGES)} scales, not {scales}")
        super().__init__(partial(make, scales=scales))
        self.weight, self.aux, self.changes = weight, aux, CHANGES[:scales]

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        scales, target, unlabelled = self.both(batch, forward=self.scales)
        counts = [1.0, *[self.aux] * (len(self.changes) - 1)]
        return {
            **supervision_of(scales, target, [count / sum(counts) for count in counts]),
            "consistency": self.weight * ramp_up(progress) * rectified(unlabelled),
        }

    def scales(self, image: Tensor) -> Tensor:
        """Logits of each scale, finest first. Shape: (B, C, *S) -> (B, scales, K, *S)."""
        changes = self.changes if self.training else ()
        return torch.stack(self.net.decode(self.net.encode(image), changes=changes), 1)


def rectified(scales: Tensor) -> Tensor:
    """The consistency of URPC. Shape: logits (B, scales, K, *S)."""
    p = scales.softmax(2)
    mean = p.mean(1)
    found = []
    for one, logits in zip(p.unbind(1), scales.unbind(1), strict=True):
        apart = divergence(mean, logits)
        sure = torch.exp(-apart)
        distance = ranks.mean(torch.square(mean - one) * sure.unsqueeze(1)) / (ranks.mean(sure) + 1e-8)
        found.append(distance + ranks.mean(apart))
    return torch.stack(found).mean()
