"""Augmentation: image and target move together, and a seed means the same everywhere."""

import numpy as np
import pytest
import torch

from baselines import augment as augmentation
from baselines.augment import augment
from baselines.batch import Samples
from baselines.config import AugmentConfig
from baselines.feed import on_host
from baselines.transfer import apart, joined
from converters.dataset import IGNORE


def only(**on):
    off = {"rotate_degrees": 0, "scale": 0, "shift": 0, "gamma": 0, "contrast": 0, "noise": 0}
    return AugmentConfig(**{**off, **on})


def blocks(size=(24, 32), batch=3):
    """An image whose intensity is its label, so that whatever moves one must move the other."""
    target = np.zeros((batch, *size), np.uint8)
    target[(slice(None), *(slice(n // 4, n // 2) for n in size))] = 1
    target[(slice(None), *(slice(n // 2, 3 * n // 4) for n in size))] = 2
    image = target[:, None].astype(np.float32)
    return of(image, target)


def of(image, target):
    none = np.zeros(len(image), np.int64)
    return Samples(image, target, none, none, none.astype(bool), 0)


def run(samples, config, seed=0):
    torch.manual_seed(seed)
    return augment(on_host(samples), config, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    "config",
    [
        only(rotate_degrees=40),
        only(scale=0.4),
        only(shift=0.3),
        only(flip=True),
        only(quarter_turns=True),
        only(elastic=0.08),
        only(rotate_degrees=40, scale=0.4, shift=0.2, flip=True, elastic=0.05),
    ],
    ids=["rotate", "scale", "shift", "flip", "quarter", "elastic", "all"],
)
@pytest.mark.parametrize("size", [(24, 32), (12, 24, 32)])
def test_image_and_target_move_together(config, size):
    samples = blocks(size)
    made = run(samples, config)
    assert not torch.equal(made.target, torch.from_numpy(samples.target).long())
    inside = made.target != IGNORE
    agree = (made.image[:, 0].round() == made.target)[inside].float().mean()
    assert agree > 0.93  # the rest is linear interpolation at the edges of the blocks


def test_nothing_asked_for_changes_nothing():
    samples = blocks()
    made = run(samples, only())
    assert torch.equal(made.image, torch.from_numpy(samples.image))
    assert torch.equal(made.target, torch.from_numpy(samples.target).long())


def test_what_comes_in_from_outside_is_not_annotated():
    made = run(blocks(), only(shift=0.3))
    assert (made.target == IGNORE).any()


def test_unannotated_voxels_stay_unannotated():
    samples = blocks()
    samples.target[:] = IGNORE
    assert (run(samples, only(rotate_degrees=40, scale=0.3)).target == IGNORE).all()


def test_a_flip_is_exact_and_a_rotation_keeps_lengths_on_an_oblong_patch():
    samples = blocks()
    flipped = {tuple(run(samples, only(flip=True), seed).target[0].flatten().tolist()) for seed in range(30)}
    original = torch.from_numpy(samples.target[0]).long()
    expected = {tuple(original.flip(axes).flatten().tolist()) for axes in ([], [0], [1], [0, 1])}
    assert flipped == expected
    square = np.zeros((1, 40, 80), np.uint8)
    square[:, 15:25, 35:45] = 1
    turned = run(of(square[:, None].astype(np.float32), square), only(rotate_degrees=45))
    assert abs(int((turned.target == 1).sum()) - 100) <= 8


def test_intensity_leaves_the_target_alone():
    samples = blocks()
    made = run(samples, only(gamma=0.5, contrast=0.5, noise=0.2))
    assert torch.equal(made.target, torch.from_numpy(samples.target).long())
    assert not torch.equal(made.image, torch.from_numpy(samples.image))


def test_the_same_seed_gives_the_same_batch_and_another_seed_another():
    config = AugmentConfig(elastic=0.05)
    a, b, c = run(blocks(), config), run(blocks(), config), run(blocks(), config, seed=1)
    assert torch.equal(a.image, b.image)
    assert torch.equal(a.target, b.target)
    assert not torch.equal(a.image, c.image)


@pytest.mark.parametrize("size", [(24, 32), (12, 24, 32)])
def test_what_is_drawn_crosses_to_a_device_in_one_copy_and_does_the_same_there(monkeypatch, size):
    config = AugmentConfig(elastic=0.05, flip=True, quarter_turns=True)
    before = run(blocks(size), config)
    copies = []

    def as_to_a_gpu(tensors, device):
        copies.append(joined(tensors))
        return apart(copies[-1], tensors)

    monkeypatch.setattr(augmentation, "sent_together", as_to_a_gpu)
    after = run(blocks(size), config)
    assert len(copies) == 1 and copies[0].numel() < 3 * (12 + 3 * 6**3 + 4) + 1
    assert torch.equal(before.target, after.target) and torch.equal(before.grid, after.grid)
    torch.testing.assert_close(before.image, after.image)
