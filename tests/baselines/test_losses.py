"""Losses: annotated voxels only, and the equations at points where they are known."""

import math

import numpy as np
import pytest
import torch

from baselines.losses import (
    cross_entropy,
    divergence,
    entropy,
    generalised_cross_entropy,
    mean_squared,
    sharpen,
    soft_dice,
    symmetric_divergence,
    voxel_cross_entropy,
)

IGNORE = 255
LOSSES = {
    "ce": cross_entropy,
    "dice": soft_dice,
    "gce": lambda logits, target: generalised_cross_entropy(logits, target, 0.5),
}


@pytest.fixture
def batch():
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 6, 5, requires_grad=True)
    target = torch.randint(0, 3, (2, 6, 5))
    target[0, :3] = IGNORE
    return logits, target


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_voxels_that_nobody_annotated_have_no_gradient(loss, batch):
    logits, target = batch
    loss(logits, target).backward()
    assert (logits.grad[0, :, :3] == 0).all()
    assert (logits.grad[0, :, 3:] != 0).any()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_nothing_annotated_gives_zero_and_a_gradient_of_zero(loss, batch):
    logits, target = batch
    value = loss(logits, torch.full_like(target, IGNORE))
    value.backward()
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert (logits.grad == 0).all()


def test_cross_entropy_equals_torch_with_an_ignore_index(batch):
    logits, target = batch
    expected = torch.nn.functional.cross_entropy(logits, target, ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(logits, target), expected)


def test_gce_is_cross_entropy_as_q_goes_to_0_and_mean_absolute_error_at_1(batch):
    logits, target = batch
    torch.testing.assert_close(
        generalised_cross_entropy(logits, target, 1e-4), cross_entropy(logits, target), rtol=1e-3, atol=0
    )
    seen = target != IGNORE
    p = logits.softmax(1).gather(1, torch.where(seen, target, 0)[:, None])[:, 0]
    torch.testing.assert_close(generalised_cross_entropy(logits, target, 1.0), (1 - p)[seen].mean())


def test_a_perfect_prediction_has_no_dice_loss_and_an_absent_class_counts_where_it_is_predicted():
    target = torch.tensor([[[0, 0, 1, 1]]])
    sure = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float() * 60
    assert float(soft_dice(sure, target)) == pytest.approx(0, abs=1e-5)
    absent = sure.clone()
    absent[:, :, 0, 0] = torch.tensor([0.0, 0.0, 60.0])  # one voxel of class 2, which is nowhere
    # background 2 * 1 / (1 + 2), class 1 perfect, class 2 zero
    assert float(soft_dice(absent, target)) == pytest.approx((1 / 3 + 0 + 1) / 3, abs=1e-4)


def test_soft_dice_follows_its_equation():
    logits = torch.tensor([[[[math.log(3.0)]], [[0.0]]]])  # p = 0.75, 0.25
    expected = 1 - (2 * 0.75 / (0.75**2 + 1) + 0) / 2
    assert float(soft_dice(logits, torch.tensor([[[0]]]))) == pytest.approx(expected, abs=1e-4)


def test_mean_squared_is_symmetric():
    a, b = torch.rand(2, 3, 4), torch.rand(2, 3, 4)
    assert mean_squared(a, b) == mean_squared(b, a) > 0


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_weights_of_voxels_follow_their_equations(ndim):
    torch.manual_seed(ndim)
    size = (5, 4, 3)[:ndim]
    logits, target, weight = torch.randn(2, 3, *size), torch.randint(0, 3, (2, *size)), torch.rand(2, *size)
    target[1, 2:] = IGNORE
    p, seen = softmax(logits.numpy()), (target != IGNORE).numpy()
    classes, w = np.moveaxis(p, 1, -1)[seen], weight.numpy()[seen]
    hot = np.eye(3)[target.numpy()[seen]]
    loss = -np.log((classes * hot).sum(-1))
    assert float(cross_entropy(logits, target, weight)) == pytest.approx((w * loss).sum() / w.sum(), rel=1e-6)
    voxels = voxel_cross_entropy(logits, target).numpy()
    np.testing.assert_allclose(voxels[seen], loss, rtol=1e-5)
    assert (voxels[~seen] == 0).all()
    overlap = 2 * (w[:, None] * classes * hot).sum(0) + 1e-5
    dice = 1 - overlap / ((w[:, None] * (classes**2 + hot**2)).sum(0) + 1e-5)
    assert float(soft_dice(logits, target, weight)) == pytest.approx(dice.mean(), rel=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice])
def test_a_weight_of_one_changes_nothing_and_of_zero_is_as_not_annotated(loss, batch):
    logits, target = batch
    assert loss(logits, target, torch.ones(target.shape)) == loss(logits, target)
    weight = (torch.arange(5) < 2).float().expand(target.shape)
    hidden = torch.where(weight > 0, target, IGNORE)
    torch.testing.assert_close(loss(logits, target, weight), loss(logits, hidden))
    nothing = loss(logits, target, torch.zeros(target.shape))
    nothing.backward()
    assert float(nothing.detach()) == pytest.approx(0, abs=1e-6)
    assert (logits.grad == 0).all()


@pytest.mark.parametrize("shape", [(2, 4, 7), (2, 3, 5, 4), (1, 5, 2, 3, 4)])
def test_entropy_and_divergences_follow_their_equations_over_the_classes(shape):
    torch.manual_seed(0)
    a, b = 3 * torch.randn(shape), 3 * torch.randn(shape)
    p, q = softmax(a.numpy()), softmax(b.numpy())
    found = entropy(a.softmax(1)).numpy()
    assert found.shape == (shape[0], *shape[2:])
    np.testing.assert_allclose(found, -(p * np.log(p + 1e-6)).sum(1) / np.log(shape[1]), atol=1e-6)
    one_way = (p * np.log(p / q)).sum(1)
    other_way = (q * np.log(q / p)).sum(1)
    np.testing.assert_allclose(divergence(a.softmax(1), b).numpy(), one_way, rtol=1e-4, atol=1e-6)
    both = symmetric_divergence(a, b).numpy()
    np.testing.assert_allclose(both, 0.5 * (one_way + other_way), rtol=1e-4, atol=1e-6)


def test_entropy_is_one_where_nothing_is_known_and_zero_where_all_is():
    assert float(entropy(torch.full((1, 4, 1), 0.25))) == pytest.approx(1, abs=1e-5)
    assert float(entropy(torch.tensor([[[1.0], [0.0], [0.0]]]))) == pytest.approx(0, abs=1e-5)


def test_what_is_certain_and_wrong_has_a_finite_gradient():
    sure = torch.tensor([[[200.0], [-200.0], [0.0]]], requires_grad=True)
    wrong = torch.tensor([[[-200.0], [200.0], [0.0]]], requires_grad=True)
    terms = (entropy(sure.softmax(1)), divergence(sure.softmax(1), wrong), symmetric_divergence(sure, wrong))
    torch.stack([*terms, sharpen(sure.softmax(1), 0.1)[:, 0]]).sum().backward()
    assert sure.grad.isfinite().all()
    assert wrong.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_sharpening_follows_its_equation(temperature):
    torch.manual_seed(0)
    p = torch.randn(2, 4, 3, 2).softmax(1)
    power = p.double().numpy() ** (1 / temperature)
    np.testing.assert_allclose(sharpen(p, temperature).numpy(), power / power.sum(1, keepdims=True), atol=1e-6)


def softmax(logits):
    """In float64, over the classes."""
    power = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return power / power.sum(1, keepdims=True)
