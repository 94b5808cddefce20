"""Losses: annotated voxels only, and the equations at points where they are known."""

import math

import pytest
import torch

from baselines.losses import cross_entropy, generalised_cross_entropy, mean_squared, soft_dice

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
