"""Methods as functions of their input, for tests that write equations out in numpy: `from equations import poked`."""

import pytest
import torch
from gates import batch, make
from torch import nn

TAUGHT = ["mean_teacher", "uamt", "ict"]
PAIRS = ["cps", "cross_teaching"]
SEMI = ["entropy_minimisation", *TAUGHT, *PAIRS, "fixmatch"]
POOLS = [(2, slice(2, 4)), (0, slice(0, 4))]  # samples without annotation, and those that learn without labels


def poked(name, options=None, spread=1.0):
    """A method in eval mode, a function of its input; its networks differ and give logits of that spread."""
    method = make(name, options)
    torch.manual_seed(1)
    with torch.no_grad():
        for network in method.children():
            for weight in network.parameters():
                weight.add_(0.1 * torch.randn_like(weight))
            head = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
            found = network.eval()(batch().image)[0]
            head.weight.mul_(spread / found.std())
            head.bias.copy_((head.bias - found.mean((0, 2, 3))) * spread / found.std())
    return method


def probabilities(network, image):
    """In float64. Shape: (B, C, *S) -> (B, K, *S)."""
    with torch.no_grad():
        return network(image)[0].double().softmax(1).numpy()


def as_expected(value, expected):
    assert expected != 0
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5, abs=1e-6)
