"""Entropy minimisation, mean teachers, ICT, CPS, cross teaching, FixMatch: equations, written out in numpy."""

import dataclasses
import importlib

import numpy as np
import pytest
import torch
from gates import batch, make, spec
from torch import nn

from baselines import method as contract
from baselines.losses import supervision
from baselines.ramps import ramp_up

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


def entropies(p):
    return -(p * np.log(p + 1e-6)).sum(1)


def squared(p, q):
    return (p - q) ** 2


def one_hot(classes):
    return np.moveaxis(np.eye(3)[classes], -1, 1)


def cross_entropies(p, classes):
    return -np.log((p * one_hot(classes)).sum(1))


def dice(p, classes, weight=1.0):
    """As in SSL4MIS: classes with sums over the batch, squares below the line."""
    g, axes = one_hot(classes), (0, 2, 3)
    overlap, size = (weight * p * g).sum(axes), (weight * (p * p + g * g)).sum(axes)
    return (1 - (2 * overlap + 1e-5) / (size + 1e-5)).mean()


def noises(monkeypatch, count):
    """What the teacher's noise is to be, in turn."""
    torch.manual_seed(2)
    drawn = [0.5 * torch.randn(4, 1, 16, 16) for _ in range(count)]
    left = iter(drawn)
    module = importlib.import_module("baselines.teacher")
    monkeypatch.setattr(module, "teacher_noise", lambda image, sd: next(left)[: len(image)])
    return drawn


def as_expected(value, expected):
    assert expected != 0
    assert float(value.detach()) == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("name", SEMI)
def test_what_is_annotated_is_learnt_as_ever(name):
    method, seen = poked(name), batch()
    terms = method(seen, 0.5)
    logits = method.logits(seen.image)
    for term, value in supervision(logits, seen.target).items():
        torch.testing.assert_close(terms[term], value)


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


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(("unannotated", "pool"), POOLS)
@pytest.mark.parametrize(
    ("name", "loss"), [("cps", lambda p, y: cross_entropies(p, y).mean()), ("cross_teaching", dice)]
)
def test_two_networks_teach_each_other_by_their_equation(name, loss, unannotated, pool, apart):
    method, seen = poked(name), batch(unannotated=unannotated, annotated=4 - unannotated)
    method.apart = apart
    terms = method(seen, 0.6)
    nets = (method.net, method.second)  # asked as it asks them: a tie falls as its rounding does
    p, q = (probabilities(net, seen.image[pool]) if apart else probabilities(net, seen.image)[pool] for net in nets)
    assert (p.argmax(1) != q.argmax(1)).mean() > 0.1
    weight = 0.1 * ramp_up(0.6)
    as_expected(terms["pseudo"], weight * loss(p, q.argmax(1)))
    as_expected(terms["second_pseudo"], weight * loss(q, p.argmax(1)))
    for term, value in supervision(method.second(seen.image)[0], seen.target).items():
        torch.testing.assert_close(terms[f"second_{term}"], value)


@pytest.mark.parametrize("name", PAIRS)
def test_of_two_networks_the_first_predicts_and_each_is_taught_by_its_own_terms_alone(name):
    method, seen = poked(name), batch()
    torch.testing.assert_close(method.logits(seen.image), method.net(seen.image)[0])
    terms = method(seen, 1.0)
    for term, value in terms.items():
        mine, other = (method.second, method.net) if term.startswith("second_") else (method.net, method.second)
        for network, moved in ((mine, True), (other, False)):
            found = torch.autograd.grad(value, list(network.parameters()), retain_graph=True, allow_unused=True)
            assert any(gradient is not None and gradient.abs().max() > 0 for gradient in found) == moved, term
    groups = [{id(weight) for weight in group["params"]} for group in method.parameter_groups()]
    assert groups == [{id(weight) for weight in net.parameters()} for net in (method.net, method.second)]


def test_the_networks_of_cps_start_apart_and_those_of_cross_teaching_are_of_two_kinds():
    twins = make("cps")
    assert twins.net.state_dict().keys() == twins.second.state_dict().keys()
    assert not torch.equal(next(twins.net.parameters()), next(twins.second.parameters()))
    mixed = make("cross_teaching")
    assert type(mixed.second.body.encoder).__name__ == "MixVisionTransformerEncoder"
    assert type(mixed.second.body) is not type(mixed.net.body)
    other = make("cross_teaching", {"arch": "Segformer", "encoder": "mit_b0"})
    assert other.second.state_dict().keys() != mixed.second.state_dict().keys()


def test_the_transformer_has_what_else_the_recipe_says_of_a_network():
    """Pre-trained weights, which our own first network has none of."""
    asked = []
    maker = importlib.import_module("baselines.nets").maker(spec())

    def make_(*, change=None):
        asked.append(change)
        return maker()

    contract.find("cross_teaching")(make_)
    assert asked == [None, {"arch": "Unet", "encoder": "mit_b0"}]


def test_cross_teaching_refuses_volumes_with_a_reason():
    refuses = contract.find("cross_teaching").refuses
    assert "slices" in refuses(3, 2, 2)
    assert refuses(2, 2, 2) is None
    assert "nothing is annotated" in refuses(2, 0, 2)


def changed(monkeypatch):
    """A strong view that can be written out."""
    module = importlib.import_module("baselines.methods.fixmatch")
    monkeypatch.setattr(module, "strong", lambda image: 0.5 * image + 0.2)
    monkeypatch.setattr(module, "cutout", lambda image: image.flip(-1))
    return lambda image: (0.5 * image + 0.2).flip(-1)


@pytest.mark.parametrize(("threshold", "spread"), [(0.6, 2.0), (0.95, 4.0)])
@pytest.mark.parametrize(("unannotated", "pool"), POOLS)
def test_fixmatch_follows_its_equation_and_its_threshold(unannotated, pool, threshold, spread, monkeypatch):
    method = poked("fixmatch", {"threshold": threshold}, spread)
    seen = batch(unannotated=unannotated, annotated=4 - unannotated)
    strong = changed(monkeypatch)
    weak = probabilities(method.net, seen.image[pool])
    q, sure = weak.argmax(1), weak.max(1) > threshold
    assert 0.02 < sure.mean() < 0.98
    p = probabilities(method.net, strong(seen.image[pool]))
    terms = method(seen, 0.0)  # no ramp
    as_expected(terms["pseudo_ce"], 0.5 * (sure * cross_entropies(p, q)).mean())
    as_expected(terms["pseudo_dice"], 0.5 * dice(p, q, sure[:, None]))


def test_fixmatch_learns_nothing_from_what_it_is_not_sure_of():
    method, seen = poked("fixmatch", {"threshold": 1.0}), batch()
    terms = method(seen, 1.0)
    value = terms["pseudo_ce"] + terms["pseudo_dice"]
    found = torch.autograd.grad(value, list(method.net.parameters()), allow_unused=True)
    assert float(value.detach()) == pytest.approx(0, abs=1e-6)
    assert all(gradient is None or (gradient == 0).all() for gradient in found)


def test_the_pseudo_labels_of_fixmatch_carry_no_gradient(monkeypatch):
    """What comes back from the strong view is all that comes back."""
    method, seen = poked("fixmatch", {"threshold": 0.5}, spread=2.0), batch()
    module = importlib.import_module("baselines.methods.fixmatch")
    monkeypatch.setattr(module, "strong", lambda image: image)
    monkeypatch.setattr(module, "cutout", lambda image: image.detach().requires_grad_())
    asked = []
    logits = method.logits
    method.logits = lambda image: asked.append(logits(image)) or asked[-1]
    terms = method(seen, 1.0)
    weak, strong = asked
    value = terms["pseudo_ce"] + terms["pseudo_dice"]
    from_weak, from_strong = torch.autograd.grad(value, (weak, strong), allow_unused=True)
    assert from_weak is None
    assert from_strong.abs().max() > 0


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


@pytest.mark.parametrize("name", SEMI)
def test_without_its_weight_it_is_supervised_bit_for_bit(name):
    """On the annotated images alone, where unannotated ones have a pass of their own."""
    seen = batch()
    shown = dataclasses.replace(seen, **{key: getattr(seen, key)[:2] for key in ("image", "target", "annotated")})
    trained = []
    for method, one in ((make("supervised"), shown), (make(name, contract.find(name).reduces), seen)):
        method.apart = True
        method.train()
        optimizer = torch.optim.SGD(method.parameter_groups(), 0.1, momentum=0.9)
        for step in range(3):
            optimizer.zero_grad()
            sum(method(one, step / 3).values()).backward()
            optimizer.step()
            method.after_step(step)
        trained.append(dict(method.net.named_parameters()))
    assert all(torch.equal(weight, trained[1][path]) for path, weight in trained[0].items())


def scattered(annotated):
    """Annotated samples anywhere in a batch."""
    seen = batch(unannotated=0, annotated=4)
    target = torch.where(torch.tensor(annotated)[:, None, None], seen.target, 255)
    return dataclasses.replace(seen, target=target, annotated=annotated)


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize(
    "annotated", [(True, True, False, False), (True, False, True, False), (True,) * 4, (False,) * 4]
)
def test_annotated_images_and_the_pool_in_one_pass_or_two(annotated, apart):
    method, seen = poked("supervised"), scattered(annotated)
    method.apart = apart
    logits, target, pool = method.both(seen)
    plain = method.logits(seen.image)
    near = {"rtol": 1e-3, "atol": 1e-4}  # a convolution of one image rounds otherwise than one of four
    for term, value in supervision(logits, target).items():
        torch.testing.assert_close(value, supervision(plain, seen.target)[term], **near)
    torch.testing.assert_close(pool, plain[seen.pool()], **near)
    mixed, _, others = method.both(seen, pool=seen.image[:1] + 1, forward=lambda image: 2 * method.logits(image))
    torch.testing.assert_close(mixed, 2 * plain[seen.rows(annotated=True)], **near)
    torch.testing.assert_close(others, 2 * method.logits(seen.image[:1] + 1), **near)


def test_apart_unannotated_images_have_no_part_in_the_norm_of_the_others():
    method, seen = make("supervised").train(), batch()
    other = dataclasses.replace(seen, image=torch.cat((seen.image[:2], 3 * seen.image[2:])))
    joint = [method.both(one)[0][:2] for one in (seen, other)]
    method.apart = True
    apart = [method.both(one)[0] for one in (seen, other)]
    assert torch.equal(*apart)
    assert not torch.allclose(*joint)
