"""Losses: functions of (logits, target), float32, over annotated voxels only (target 255 = not annotated).

Shape, throughout: logits (B, K, *S); target (B, *S) int64. With nothing annotated every loss is 0 with a gradient.
Cross-entropy is written out because torch's NLL loss on label maps has no deterministic CUDA gradient.
"""

import torch
from torch import Tensor

from baselines.batch import classes_one_hot


def supervision(logits: Tensor, target: Tensor, ce: float = 0.5, dice: float = 0.5) -> dict[str, Tensor]:
    """Terms `ce` and `dice`, weighted: the L_sup = 0.5 (CE + Dice) of the label-frugal literature (SSL4MIS)."""
    one_hot, annotated = classes_one_hot(target, logits.shape[1])  # once for both: a large batch feels it
    return {
        "ce": ce * _cross_entropy(logits, one_hot, annotated),
        "dice": dice * _soft_dice(logits, one_hot, annotated),
    }


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Mean over annotated voxels of -log p(target)."""
    return _cross_entropy(logits, *classes_one_hot(target, logits.shape[1]))


def _cross_entropy(logits: Tensor, one_hot: Tensor, annotated: Tensor) -> Tensor:
    return -(one_hot * logits.log_softmax(1)).sum() / annotated.sum().clamp(min=1)


def soft_dice(logits: Tensor, target: Tensor) -> Tensor:
    """1 - soft Dice, mean over all classes including background, sums over the batch.

    1 - (2 sum p g + e) / (sum p^2 + sum g^2 + e), e = 1e-5 (V-Net's squared form; as in SSL4MIS). A class that is
    nowhere in the batch counts: it is 0 only where nothing of it is predicted.
    Milletari et al., 3DV 2016.
    """
    return _soft_dice(logits, *classes_one_hot(target, logits.shape[1]))


def _soft_dice(logits: Tensor, one_hot: Tensor, annotated: Tensor) -> Tensor:
    p = logits.softmax(1) * annotated
    axes = (0, *range(2, p.ndim))
    overlap = (p * one_hot).sum(axes)
    size = (p * p).sum(axes) + (one_hot * one_hot).sum(axes)
    return (1 - (2 * overlap + 1e-5) / (size + 1e-5)).mean()


def generalised_cross_entropy(logits: Tensor, target: Tensor, q: float) -> Tensor:
    """Mean over annotated voxels of (1 - p(target)^q) / q: cross-entropy at q -> 0, mean absolute error at q = 1.

    Zhang and Sabuncu, NeurIPS 2018, eq. 6.
    """
    one_hot, annotated = classes_one_hot(target, logits.shape[1])
    p = (one_hot * logits.softmax(1)).sum(1, keepdim=True)
    # The clamp keeps the gradient p^(q-1) finite where the network is certain and wrong.
    loss = (1 - p.clamp(min=1e-6) ** q) / q
    return (loss * annotated).sum() / annotated.sum().clamp(min=1)


def mean_squared(p: Tensor, q: Tensor) -> Tensor:
    """Mean over voxels and classes of (p - q)^2: the consistency of two softmax maps."""
    return torch.square(p - q).mean()
