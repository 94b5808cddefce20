"""Entropy minimisation, mean teacher, UA-MT and ICT: their equations, written out in numpy."""

import dataclasses
import importlib

import numpy as np
import pytest
import torch
from equations import POOLS, TAUGHT, as_expected, poked, probabilities
from gates import batch
from torch import nn

from baselines.ramps import ramp_up


def entropies(p):
    return -(p * np.log(p + 1e-6)).sum(1)


def squared(p, q):
    return (p - q) ** 2


def noises(monkeypatch, count):
    """What the teacher's noise is to be, in turn."""
    torch.manual_seed(2)
    drawn = [0.5 * torch.randn(4, 1, 16, 16) for _ in range(count)]
    left = iter(drawn)
    module = importlib.import_module("baselines.teacher")
    monkeypatch.setattr(module, "teacher_noise", lambda image, sd: next(left)[: len(image)])
    return drawn


@pytest.mark.parametrize("progress", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("apart", [False, True])
def test_entropy_is_taken_over_annotated_and_unannotated_images(apart, progress):
    method, seen = poked("entropy_minimisation"), batch()
    method.apart = apart
    p = probabilities(method.net, seen.image)
    expected = 0.1 * np.exp(-5 * (1 - progress) ** 2) * entropies(p).mean() / np.log(3)
    as_expected(method(seen, progress)["entropy"], expected)


@pytest.mark.parametrize(("unannotated", "pool"), POOLS)
def test_mean_teacher_follows_its_equation(unannotated, pool, monkeypatch):
    method, seen = poked("mean_teacher"), batch(unannotated=unannotated, annotated=4 - unannotated)
    (noise,) = noises(monkeypatch, 1)
    image = seen.image[pool]
    distance = squared(probabilities(method.net, image), probabilities(method.teacher, image + noise[: len(image)]))
    as_expected(method(seen, 1.0)["consistency"], 0.1 * distance.mean())


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("unannotated", "pool"), POOLS)
def test_uamt_follows_its_equation_and_its_threshold_is_that_of_all_classes(unannotated, pool, progress, monkeypatch):
    method, seen = poked("uamt", spread=2.5), batch(unannotated=unannotated, annotated=4 - unannotated)
    drawn = noises(monkeypatch, 9)
    image = seen.image[pool]
    first, *rest = [probabilities(method.teacher, image + noise[: len(image)]) for noise in drawn]
    assert len(rest) == 8
    uncertain = entropies(np.mean(rest, 0))
    share = 0.75 + 0.25 * np.exp(-5 * (1 - progress) ** 2)
    certain = uncertain < share * np.log(3)
    if progress < 1:
        assert 0.05 < certain.mean() < 0.95
        assert (certain != (uncertain < share * np.log(2))).mean() > 0.05  # the threshold of the public code
    distance = squared(probabilities(method.net, image), first).sum(1)
    expected = 0.1 * ramp_up(progress) * (certain * distance).sum() / (2 * certain.sum())
    as_expected(method(seen, progress)["consistency"], expected)


def test_uamt_asks_for_nothing_where_the_teacher_is_nowhere_certain(monkeypatch):
    method, seen = poked("uamt"), batch()
    nn.init.zeros_(method.teacher.body.decoder.head.weight)
    nn.init.zeros_(method.teacher.body.decoder.head.bias)
    value = method(seen, 0.5)["consistency"]
    value.backward()
    assert value == 0
    assert all(weight.grad is None or (weight.grad == 0).all() for weight in method.net.parameters())


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("count", "first", "second"), [(2, [0], [1]), (4, [0, 1], [2, 3]), (3, [0, 1], [1, 2])])
def test_ict_follows_its_equation(count, first, second, apart, monkeypatch):
    method, seen = poked("ict"), batch(unannotated=count)
    method.apart = apart
    gammas = torch.tensor([1.0, 3.0, 3.0, 2.0][: 2 * len(first)]).view(2, -1, 1, 1, 1)
    monkeypatch.setattr(torch.distributions.Gamma, "sample", lambda self: gammas)
    share = (gammas[0] / (gammas[0] + gammas[1])).double().numpy()
    u, v = seen.image[2:][first], seen.image[2:][second]
    mixed = (1 - share) * u.numpy() + share * v.numpy()
    student = probabilities(method.net, torch.from_numpy(mixed).float())
    teacher = (1 - share) * probabilities(method.teacher, u) + share * probabilities(method.teacher, v)
    as_expected(method(seen, 0.7)["consistency"], 0.1 * ramp_up(0.7) * squared(student, teacher).mean())


def test_ict_draws_from_a_beta_and_mixes_all_images_where_all_are_annotated():
    method, seen = poked("ict"), batch(unannotated=0, annotated=4)
    alone = dataclasses.replace(seen, image=torch.cat((seen.image[:2], seen.image[:2])))
    assert method(seen, 1.0)["consistency"] > 0
    seen_shares = []
    net = method.net.forward
    method.net.forward = lambda image: seen_shares.append(image) or net(image)
    method(alone, 1.0)
    assert seen_shares[0].shape[0] == 6  # four as they are, two mixtures; of an image with itself, itself
    torch.testing.assert_close(seen_shares[0][4:], alone.image[:2])
    alpha = torch.full((2, 20000), method.alpha)
    one, other = torch.distributions.Gamma(alpha, torch.ones_like(alpha)).sample()
    share = one / (one + other)
    assert float(share.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(share.var()) == pytest.approx(1 / (4 * (2 * method.alpha + 1)), abs=0.01)  # of Beta(a, a)


@pytest.mark.parametrize("name", TAUGHT)
def test_a_teacher_predicts_without_gradient_and_moves_by_its_decay(name):
    method, seen = poked(name, {"decay": 0.8}), batch()
    sum(method(seen, 1.0).values()).backward()
    assert all(weight.grad is None for weight in method.teacher.parameters())
    before = {path: value.clone() for path, value in method.teacher.state_dict().items()}
    method.after_step(20)
    student = method.net.state_dict()
    for path, value in method.teacher.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.8 * before[path] + 0.2 * student[path])
