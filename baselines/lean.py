"""Layers of networks that keep less for the backward pass than torch's own do, and give the same bits.

A compiled network keeps that little by itself: there torch's own are used.
"""

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class _Pool(nn.Module):
    """Max pooling; where each maximum was is found again in the backward pass, not kept as 8 bytes a value."""

    def forward(self, x: Tensor) -> Tensor:
        pool = super().forward
        found: Tensor
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            found = checkpoint(pool, x, use_reentrant=False, preserve_rng_state=False)
        else:
            found = pool(x)
        return found


class MaxPool2d(_Pool, nn.MaxPool2d):
    """2D."""


class MaxPool3d(_Pool, nn.MaxPool3d):
    """3D."""


_LEAN: dict[type[nn.Module], type[nn.Module]] = {nn.MaxPool2d: MaxPool2d, nn.MaxPool3d: MaxPool3d}


def keep_less(body: nn.Module) -> None:
    """Make the pooling of a network such, in place; not where the places of the maxima are wanted."""
    for layer in body.modules():
        if type(layer) in _LEAN and not layer.return_indices:
            layer.__class__ = _LEAN[type(layer)]


def activated(x: Tensor, activation: nn.LeakyReLU, dropout: nn.Module) -> Tensor:
    """Activation, then dropout; `x` is overwritten.

    On a CPU torch keeps the result of either, and the mask in the precision of the values: three tensors of the size of
    `x`. Of these the last result and a mask of one byte a value do. (On a GPU the mask is one byte already.)
    """
    # Where ranks share a batch, dropout is another class with masks of its own.
    lean = type(dropout) is nn.Dropout and dropout.training and 0 < dropout.p < 1 and x.device.type == "cpu"
    if not lean or torch.compiler.is_compiling():
        found: Tensor = dropout(activation(x))
        return found
    dropped: Tensor = _Dropped.apply(x, activation.negative_slope, dropout.p)
    return dropped


class _Dropped(torch.autograd.Function):
    """LeakyReLU and dropout in place. A value that was dropped has no gradient, so the sign it had is not needed."""

    @staticmethod
    def forward(ctx: "_Kept", x: Tensor, slope: float, p: float) -> Tensor:
        scale = torch.empty_like(x).bernoulli_(1 - p).div_(1 - p)  # drawn and rounded as by torch's dropout
        kept = scale != 0
        F.leaky_relu_(x, slope).mul_(scale)
        ctx.mark_dirty(x)
        ctx.save_for_backward(x, kept)
        ctx.slope, ctx.p = slope, p
        return x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: "_Kept", gradient: Tensor) -> tuple[Tensor, None, None]:
        y, kept = ctx.saved_tensors
        scale = kept.to(y.dtype).div_(1 - ctx.p)
        return torch.ops.aten.leaky_relu_backward(scale.mul_(gradient), y, ctx.slope, True), None, None


class _Kept(torch.autograd.function.FunctionCtx):
    """What the forward pass keeps."""

    saved_tensors: tuple[Tensor, Tensor]
    slope: float
    p: float
