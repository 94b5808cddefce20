"""Which voxels a method learns from: those that a network finds easy. Nothing here waits for a GPU."""

import torch
from torch import Tensor


@torch.no_grad()
def smallest(loss: Tensor, annotated: Tensor, share: float) -> Tensor:
    """The annotated voxels with the smallest losses: a share of them, rounded down, at least one.

    Those that tie with the last one are kept too. Shape: loss (B, *S) float32; annotated and the result (B, *S) bool.
    """
    ordered = torch.where(annotated, loss, torch.inf).flatten().sort().values
    # In float64: a batch may hold more voxels than float32 can count.
    count = (annotated.sum().double() * share).long().clamp(min=1)
    return annotated & (loss <= ordered.gather(0, count.view(1) - 1))


def mean_over(loss: Tensor, voxels: Tensor) -> Tensor:
    """Mean of a loss over some voxels; 0 with a gradient where there are none. Shape: both (B, *S)."""
    return (loss * voxels).sum() / voxels.sum().clamp(min=1)
