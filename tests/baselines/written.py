"""Losses written out class by class, for tests that hold a method to its equation: `from written import supervised`."""

import torch
from gates import make

from converters.dataset import IGNORE


def supervised(logits, target):
    """0.5 (CE + Dice) over annotated voxels, class by class."""
    logits, target = logits.movedim(1, -1).flatten(0, -2), target.flatten()
    p, target = logits.softmax(-1)[target != IGNORE], target[target != IGNORE]
    if not len(target):
        return torch.tensor(0.0)
    ce = -torch.log(p[torch.arange(len(target)), target]).mean()
    dice = 0.0
    for code in range(p.shape[1]):
        is_code = (target == code).float()
        overlap, size = (p[:, code] * is_code).sum(), (p[:, code] ** 2).sum() + is_code.sum()
        dice = dice + (1 - (2 * overlap + 1e-5) / (size + 1e-5)) / p.shape[1]
    return 0.5 * (ce + dice)


def close(found, expected):
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def same_gradients(method, found, expected):
    """Those that two ways to one loss leave in the weights."""
    weights = list(method.net.parameters())
    pairs = [torch.autograd.grad(loss, weights, allow_unused=True, retain_graph=True) for loss in (found, expected)]
    for ours, theirs in zip(*pairs, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-3)


def settled(name, options=None, ndim=2):
    """In eval mode, with larger weights than the first ones: what comes out depends on the image, and heads differ."""
    method = make(name, options, ndim)
    for parameter in method.parameters():
        if parameter.ndim > 1:
            torch.nn.init.kaiming_normal_(parameter)
    return method.eval()
