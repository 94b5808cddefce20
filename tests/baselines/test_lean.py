"""Layers that keep less: the bits of torch's own, in less memory."""

import pytest
import torch
from torch import nn

from baselines.lean import MaxPool2d, MaxPool3d, keep_less
from baselines.unet import Block, Form, UNet


def unet(ndim: int, norm: str, lean: bool, p: float = 0.4) -> UNet:
    torch.manual_seed(0)
    body = UNet((1, 3), (8, 16, 32), (p, p, p), [(2,) * ndim] * 2, Form(norm=norm)).train()
    if lean:
        keep_less(body)
        assert {type(pool) for pool in body.pools} <= {MaxPool2d, MaxPool3d}
    for layer in body.modules() if not lean else ():
        if type(layer) is Block:
            layer.__class__ = nn.Sequential
    return body.to(memory_format=torch.channels_last if ndim == 2 else torch.channels_last_3d)


def step(body: UNet, image: torch.Tensor, bf16: bool) -> tuple[list[torch.Tensor], int]:
    """Logits, every gradient and buffer, the generator's state; and how many bytes were kept for the backward pass."""
    kept: dict[int, int] = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    torch.manual_seed(1)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        logits = body(image)[0]
    (logits.float().softmax(1)[:, 1] * torch.linspace(0, 1, image.shape[-1])).sum().backward()
    gradients = [weight.grad for weight in body.parameters()]
    return [logits, *gradients, *body.buffers(), torch.get_rng_state()], sum(kept.values())


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("ndim", [2, 3])
def test_they_give_the_bits_of_torchs_own_and_keep_less(ndim, norm, bf16):
    image = torch.randn(2, 1, *[32] * ndim, generator=torch.Generator().manual_seed(2))
    found, less = step(unet(ndim, norm, lean=True), image, bf16)
    expected, more = step(unet(ndim, norm, lean=False), image, bf16)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    # Of the encoder's seven tensors a level and the places of the maxima, five and a byte a value are left.
    assert less < 0.85 * more


def test_dropout_of_nothing_and_of_everything_are_torchs():
    image = torch.randn(2, 1, 32, 32)
    for p in (0.0, 1.0):
        found, _ = step(unet(2, "batch", lean=True, p=p), image, bf16=False)
        expected, _ = step(unet(2, "batch", lean=False, p=p), image, bf16=False)
        for one, other in zip(found, expected, strict=True):
            assert torch.equal(one, other)


def test_a_network_that_is_asked_for_no_gradient_is_the_same():
    image = torch.randn(2, 1, 32, 32)
    for training in (True, False):
        pair = []
        for lean in (True, False):
            body = unet(2, "batch", lean).train(training)
            torch.manual_seed(3)
            with torch.no_grad():
                pair.append(body(image)[0])
        assert torch.equal(*pair)


def test_pooling_whose_places_are_wanted_and_that_of_others_stay_as_they_are():
    class Own(nn.MaxPool2d):
        pass

    body = nn.Sequential(nn.MaxPool2d(2, return_indices=True), Own(2), nn.MaxPool2d(2))
    keep_less(body)
    assert [type(layer) for layer in body] == [nn.MaxPool2d, Own, MaxPool2d]
