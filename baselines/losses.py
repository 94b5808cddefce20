"""Losses: functions of (logits, target), float32, over annotated voxels only (target 255 = not annotated).

Shape, throughout: logits and p, their softmax, (B, K, *S); target (B, *S) int64; weight (B, *S), of a voxel. With
nothing annotated, or no weight anywhere, every loss is 0 with a gradient. Sums and means are those of the whole batch,
whichever ranks share it; `entropy`, `divergence` and what else is told of each voxel leave that to `ranks.mean`.
Cross-entropy is written out because torch's NLL loss on label maps has no deterministic CUDA gradient.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import classes_one_hot

SMOOTH = 1e-5  # of soft Dice


@dataclasses.dataclass(frozen=True)
class Balance:
    """How classes are weighed against each other: `smooth` of soft Dice, weights of cross-entropy, shape (K,)."""

    smooth: float = SMOOTH
    classes: Tensor | None = None  # none, or empty: all alike


ALIKE = Balance()


def supervision(
    logits: Tensor, target: Tensor, ce: float = 0.5, dice: float = 0.5, balance: Balance = ALIKE
) -> dict[str, Tensor]:
    """Terms `ce` and `dice`, weighted: the L_sup = 0.5 (CE + Dice) of the label-frugal literature (SSL4MIS)."""
    one_hot, annotated = classes_one_hot(target, logits.shape[1])  # once for both: a large batch feels it
    counted, voxels = one_hot, annotated
    if balance.classes is not None and len(balance.classes):
        counted = one_hot * balance.classes.view(-1, *[1] * (one_hot.ndim - 2))
        voxels = counted.sum(1, keepdim=True)
    return {
        "ce": ce * _cross_entropy(logits, counted, voxels),
        "dice": dice * _soft_dice(logits, one_hot, annotated, smooth=balance.smooth),
    }


def supervision_of(heads: Tensor, target: Tensor, weights: Sequence[float]) -> dict[str, Tensor]:
    """Terms `ce` and `dice` of several outputs for one target, each output weighted. Shape: heads (B, n, K, *S)."""
    one_hot, annotated = classes_one_hot(target, heads.shape[2])
    each = list(zip(weights, heads.unbind(1), strict=True))
    ce = [0.5 * weight * _cross_entropy(logits, one_hot, annotated) for weight, logits in each]
    dice = [0.5 * weight * _soft_dice(logits, one_hot, annotated) for weight, logits in each]
    return {"ce": torch.stack(ce).sum(), "dice": torch.stack(dice).sum()}


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over annotated voxels of -log p(target), weighted where there are weights: sum w (-log p) / sum w."""
    one_hot, annotated = classes_one_hot(target, logits.shape[1])
    if weight is not None:
        one_hot, annotated = one_hot * weight.unsqueeze(1), annotated * weight.unsqueeze(1)
    return _cross_entropy(logits, one_hot, annotated)


def _cross_entropy(logits: Tensor, one_hot: Tensor, annotated: Tensor) -> Tensor:
    likely, voxels = ranks.total((one_hot * logits.log_softmax(1)).sum(), annotated.sum())
    return -likely / voxels.clamp(min=1)


def voxel_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """-log p(target) of each voxel, 0 where nobody annotated. Shape: (B, *S)."""
    return -(classes_one_hot(target, logits.shape[1])[0] * logits.log_softmax(1)).sum(1)


def soft_dice(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - soft Dice, mean over all classes including background, sums over the batch.

    1 - (2 sum p g + e) / (sum p^2 + sum g^2 + e), e = 1e-5 (V-Net's squared form; as in SSL4MIS), each summand times
    the weight of its voxel where there are weights. A class that is nowhere in the batch counts: it is 0 only where
    nothing of it is predicted.
    Milletari et al., 3DV 2016.
    """
    return _soft_dice(logits, *classes_one_hot(target, logits.shape[1]), weight)


def _soft_dice(
    logits: Tensor, one_hot: Tensor, annotated: Tensor, weight: Tensor | None = None, smooth: float = SMOOTH
) -> Tensor:
    p = logits.softmax(1) * annotated
    weighted = (p, one_hot) if weight is None else (p * weight.unsqueeze(1), one_hot * weight.unsqueeze(1))
    axes = (0, *range(2, p.ndim))
    overlap = (weighted[0] * one_hot).sum(axes)
    size = (weighted[0] * p).sum(axes) + (weighted[1] * one_hot).sum(axes)
    overlap, size = ranks.total(overlap, size)
    return (1 - (2 * overlap + smooth) / (size + smooth)).mean()


def generalised_cross_entropy(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """Mean over annotated voxels of (1 - p(target)^q) / q: cross-entropy at q -> 0, mean absolute error at q = 1.

    Zhang and Sabuncu, NeurIPS 2018, eq. 6.
    """
    one_hot, annotated = classes_one_hot(target, logits.shape[1])
    p = (one_hot * logits.softmax(1)).sum(1, keepdim=True)
    # The clamp keeps the gradient p^(q-1) finite where the network is certain and wrong.
    loss = (1 - p.clamp(min=1e-6) ** q) / q
    loss, voxels = ranks.total((loss * annotated).sum(), annotated.sum())
    return loss / voxels.clamp(min=1)


def mean_squared(p: Tensor, q: Tensor) -> Tensor:
    """Mean over voxels and classes of (p - q)^2: the consistency of two softmax maps."""
    return ranks.mean(torch.square(p - q))


def entropy(p: Tensor) -> Tensor:
    """-sum_c p log(p + 1e-6) / log K of each voxel, between 0 and 1. Shape: (B, *S).

    Grandvalet and Bengio, NeurIPS 2004, in the form of ADVENT (Vu et al., CVPR 2019).
    """
    return -(p * torch.log(p + 1e-6)).sum(1) / math.log(p.shape[1])


def divergence(p: Tensor, logits: Tensor) -> Tensor:
    """KL(p || softmax(logits)) over the classes, of each voxel. Shape: (B, *S)."""
    # The clamp keeps what is 0 in float32 out of the logarithm: 0 times minus infinity is no number.
    return (p * (torch.log(p.clamp(min=1e-8)) - logits.log_softmax(1))).sum(1)


def symmetric_divergence(logits: Tensor, others: Tensor) -> Tensor:
    """(KL(p || q) + KL(q || p)) / 2 of each voxel, for two networks' logits. Shape: (B, *S)."""
    difference = logits.log_softmax(1) - others.log_softmax(1)
    return 0.5 * ((logits.softmax(1) - others.softmax(1)) * difference).sum(1)


def sharpen(p: Tensor, temperature: float) -> Tensor:
    """p^(1/T) / sum_c p^(1/T): the more certain the lower T is. Shape: that of p."""
    return torch.softmax(torch.log(p.clamp(min=1e-8)) / temperature, 1)
