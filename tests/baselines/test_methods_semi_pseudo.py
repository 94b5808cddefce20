"""CPS, cross teaching and FixMatch: their equations, written out in numpy, and who teaches whom."""

import importlib

import numpy as np
import pytest
import torch
from equations import PAIRS, POOLS, as_expected, poked, probabilities
from gates import batch, make, spec

from baselines import method as contract
from baselines.losses import supervision
from baselines.ramps import ramp_up


def one_hot(classes):
    return np.moveaxis(np.eye(3)[classes], -1, 1)


def cross_entropies(p, classes):
    return -np.log((p * one_hot(classes)).sum(1))


def dice(p, classes, weight=1.0):
    """As in SSL4MIS: classes with sums over the batch, squares below the line."""
    g, axes = one_hot(classes), (0, 2, 3)
    overlap, size = (weight * p * g).sum(axes), (weight * (p * p + g * g)).sum(axes)
    return (1 - (2 * overlap + 1e-5) / (size + 1e-5)).mean()


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
