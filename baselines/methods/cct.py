"""CCT: decoders that read perturbed features are to say what the main one says."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from baselines.batch import Batch
from baselines.losses import mean_squared, supervision_of
from baselines.method import Method
from baselines.nets import Make
from baselines.perturb import feature_dropout, feature_noise, value_dropout
from baselines.ramps import ramp_up


def dropout(x: Tensor) -> Tensor:
    """Each value 0 with probability 0.3, else times 1 / 0.7: SSL4MIS's `Dropout` of the features."""
    return value_dropout(x, 0.3)


# What each auxiliary decoder reads features through, on all levels.
CHANGES: tuple[Callable[[Tensor], Tensor], ...] = (feature_noise, dropout, feature_dropout)


class CCT(Method):
    """L = L_sup + lambda(t) mean_k mean (p_main(x_u) - p_k(x_u))^2, k over auxiliary decoders; p_main is a constant.

    Ouali, Hudelot and Tami, CVPR 2020, in the segmentation setting of SSL4MIS: one encoder, a main decoder and three
    auxiliary ones, which read the features of all levels through F-Noise, dropout (p = 0.3) and F-Drop. L_sup is the
    mean over the four of 0.5 (CE + Dice); with `aux` = 0 it is that of the main decoder alone, as in the paper.
    lambda(t) = weight * ramp over the whole training (published: 0.1 at 30 000 steps). The main decoder predicts.

    Differs from the public codes: the main prediction is a constant in the consistency, as in the paper (SSL4MIS lets
    the gradient through it); each decoder has perturbed features of its own (PyMIC changes one list in place, so that
    perturbations add up). PyMIC's fourth perturbation, virtual adversarial noise, is left out, as are those of the
    paper that need masks of objects. Where every image is annotated, the consistency is taken over all images.
    """

    paper: ClassVar[str] = "Ouali, Hudelot and Tami, CVPR 2020"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0, "aux": 0.0}

    def __init__(self, make: Make, weight: float = 0.1, aux: float = 1.0) -> None:
        """`aux`: how much the supervision of each auxiliary decoder counts against that of the main one."""
        super().__init__(partial(make, decoders=1 + len(CHANGES)))
        self.weight, self.aux = weight, aux

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        heads, target, unlabelled = self.both(batch, forward=self.heads)
        p = unlabelled.softmax(2)
        counts = [1.0, *[self.aux] * len(CHANGES)]
        return {
            **supervision_of(heads, target, [count / sum(counts) for count in counts]),
            "consistency": self.weight * ramp_up(progress) * mean_squared(p[:, 1:], p[:, :1].detach()),
        }

    def heads(self, image: Tensor) -> Tensor:
        """Logits of the main decoder and of the auxiliary ones. Shape: (B, C, *S) -> (B, 4, K, *S)."""
        features = self.net.encode(image)
        read = [features, *(features.changed(change) for change in CHANGES)]
        return torch.stack([self.net.decode(some, number)[0] for number, some in enumerate(read)], 1)
