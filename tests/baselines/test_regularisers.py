"""Regularisers: each against its equation written out voxel by voxel, in 2D and in 3D."""

import itertools
import math

import numpy as np
import pytest
import torch

from baselines.regularisers import gated_crf, intensity_variance, mumford_shah, total_variation, unit

SIZES = {2: (5, 6), 3: (3, 5, 4)}


def made(ndim, classes=3, channels=2, seed=0):
    """Logits in double precision and an image."""
    torch.manual_seed(seed)
    logits = torch.randn(2, classes, *SIZES[ndim], dtype=torch.float64, requires_grad=True)
    return logits, torch.randn(2, channels, *SIZES[ndim], dtype=torch.float64) * 40 + 7


def scaled(image):
    """In [0, 1], each sample and channel."""
    out = np.empty(image.shape)
    for n, c in itertools.product(*map(range, image.shape[:2])):
        channel = image[n, c].numpy()
        out[n, c] = (channel - channel.min()) / (channel.max() - channel.min())
    return out


def places(size):
    return list(itertools.product(*map(range, size)))


def pooled(values, best):
    """The best of each voxel and its neighbours, corners too, one map at a time."""
    out = np.empty_like(values)
    for at in places(values.shape):
        box = tuple(slice(max(0, x - 1), x + 2) for x in at)
        out[at] = best(values[box])
    return out


def tv_by_hand(p, image):
    contours = []
    for n, k in itertools.product(range(len(p)), range(1, p.shape[1])):
        eroded = pooled(p[n, k], np.min)
        contours.append(np.maximum(pooled(eroded, np.max) - eroded, 0))
    return np.mean(contours)


def mumford_shah_by_hand(p, image):
    total = 0.0
    for n, k in itertools.product(*map(range, p.shape[:2])):
        for c in range(image.shape[1]):
            mu = (image[n, c] * p[n, k]).sum() / p[n, k].sum()
            total += sum(p[n, k][at] * (image[n, c][at] - mu) ** 2 for at in places(p.shape[2:]))
        for at, axis in itertools.product(places(p.shape[2:]), range(p.ndim - 2)):
            after = tuple(x + (a == axis) for a, x in enumerate(at))
            if after[axis] < p.shape[2 + axis]:
                total += abs(p[n, k][after] - p[n, k][at])
    return total / len(p)


def variance_by_hand(p, image):
    found = []
    for n, c in itertools.product(range(len(p)), range(image.shape[1])):
        means = [np.average(image[n, c], weights=p[n, k]) for k in range(p.shape[1])]
        within = [math.sqrt(np.average((image[n, c] - mu) ** 2, weights=p[n, k]) + 1e-6) for k, mu in enumerate(means)]
        found.append(np.mean(within) - math.sqrt(np.var(means) + 1e-6))
    return np.mean(found)


def crf_by_hand(p, image, place=6.0, intensity=0.1, radius=5):
    """Over all ordered pairs of voxels of a slice."""
    total = 0.0
    for n, one in itertools.product(range(len(p)), places(p.shape[2:])):
        for row, column in places(p.shape[-2:]):
            other = (*one[:-2], row, column)
            far = (row - one[-2], column - one[-1])
            if other == one or max(map(abs, far)) > radius:
                continue
            unlike = sum((image[n, c][one] - image[n, c][other]) ** 2 for c in range(image.shape[1]))
            k = math.exp(-0.5 * ((far[0] ** 2 + far[1] ** 2) / place**2 + unlike / intensity**2))
            total += k * (1 - sum(p[n, c][one] * p[n, c][other] for c in range(p.shape[1])))
    return total / (len(p) * math.prod(p.shape[2:]))


TERMS = {
    "tv": (lambda p, image: total_variation(p), tv_by_hand),
    "mumford_shah": (mumford_shah, mumford_shah_by_hand),
    "variance": (intensity_variance, variance_by_hand),
    "crf": (gated_crf, crf_by_hand),
}


@pytest.mark.parametrize("ndim", SIZES)
@pytest.mark.parametrize("name", TERMS)
def test_a_term_is_its_equation(name, ndim):
    term, by_hand = TERMS[name]
    logits, image = made(ndim)
    p = logits.softmax(1)
    assert float(term(p, image).detach()) == pytest.approx(by_hand(p.detach().numpy(), scaled(image)), rel=1e-6)


@pytest.mark.parametrize("ndim", SIZES)
@pytest.mark.parametrize("name", TERMS)
def test_its_gradient_is_that_of_its_value(name, ndim):
    """By finite differences: the gated CRF makes its own."""
    term, _ = TERMS[name]
    logits, image = made(ndim)
    assert torch.autograd.gradcheck(lambda x: term(x.softmax(1), image), (logits,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["mumford_shah", "variance", "crf"])
def test_units_of_the_image_do_not_count(name):
    term, _ = TERMS[name]
    logits, image = made(2)
    factor = torch.tensor([3.0, 0.01], dtype=torch.float64).view(1, 2, 1, 1)
    p = logits.softmax(1)
    torch.testing.assert_close(term(p, image), term(p, image * factor - 5))


@pytest.mark.parametrize("name", TERMS)
def test_an_image_without_contrast_and_a_class_that_is_nowhere_give_finite_gradients(name):
    logits = torch.zeros(2, 3, 6, 6)
    logits[:, 0] = 200.0
    logits.requires_grad_()
    value = TERMS[name][0](logits.softmax(1), torch.full((2, 1, 6, 6), 3.0))
    value.backward()
    assert torch.isfinite(value)
    assert torch.isfinite(logits.grad).all()


def test_a_voxel_in_the_foreground_has_a_contour_and_one_in_the_background_alone_has_none():
    """The background is the first class: what PyMIC pools across, and what WSL4MIS takes for the first sample."""
    p = torch.zeros(2, 3, 9, 9)
    p[:, 0] = 1
    p[1, 0, 4, 4] = 0  # a hole in the background that no foreground class fills
    assert total_variation(p) == 0
    p[0, 2, 3:6, 3:6] = 1  # in the first sample
    assert float(total_variation(p)) == pytest.approx((9 - 1) / (2 * 2 * 81))  # eroded, its centre is left


def test_classes_of_one_intensity_each_cost_nothing_but_their_boundary():
    image = torch.zeros(1, 1, 4, 6)
    image[..., 3:] = 2.0
    p = torch.stack((1 - image[:, 0] / 2, image[:, 0] / 2), 1)
    assert float(mumford_shah(p, image)) == pytest.approx(2 * 4)  # two classes change along four rows
    assert mumford_shah(p, image, length=0) == 0
    assert float(mumford_shah(p, image, length=0.5)) == pytest.approx(4)
    swapped = p.roll(1, -1)
    assert intensity_variance(p, image) < intensity_variance(swapped, image)
    assert float(intensity_variance(p, image)) == pytest.approx(1e-3 - 0.5, abs=1e-5)


def test_the_crf_joins_what_looks_alike_and_lets_go_of_what_does_not():
    image = torch.zeros(1, 1, 8, 8)
    image[..., 4:] = 1.0
    along = torch.stack((image[:, 0], 1 - image[:, 0]), 1)
    across = along.mT.contiguous()
    assert float(gated_crf(along, image)) == pytest.approx(0, abs=1e-6)
    assert gated_crf(across, image) > 1


def test_an_image_without_spread_is_zero_and_all_else_fills_its_range():
    image = torch.tensor([[[5.0, 5.0], [1.0, 3.0]]])
    assert unit(image).tolist() == [[[0.0, 0.0], [0.0, 1.0]]]
