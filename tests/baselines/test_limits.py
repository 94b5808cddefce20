"""What each method becomes at the limit its docstring names, where that is not `supervised` for declared options."""

import dataclasses
import inspect

import pytest
import torch
from gates import batch, learn, make
from test_methods_noisy import K, noisy
from test_methods_semi_mix import stage
from written import close, settled, supervised

from baselines import method as contract
from baselines.branches import branches
from baselines.losses import cross_entropy, generalised_cross_entropy, soft_dice
from baselines.stages import DOUBTED

PLAIN = {"ce": 1.0, "dice": 0.0}
SHOWN = {}


def limit(name):
    """The decorated function shows the limit of that method."""
    return lambda function: SHOWN.setdefault(name, function)


@pytest.mark.parametrize("name", [name for name in contract.names() if contract.find(name).reduces is None])
def test_a_method_that_is_not_supervised_at_its_limit_says_which_and_it_is_so(name):
    if name == "supervised":
        return
    assert "Limit:" in inspect.getdoc(contract.find(name))
    SHOWN[name]()


@limit("mae")
def is_generalised_cross_entropy_at_one():
    method, seen = make("mae"), noisy(scribbles=True)
    expected = generalised_cross_entropy(method.logits(seen.image), seen.target, 1.0) * 2 / K
    torch.testing.assert_close(method(seen, 0.5)["mae"], expected)


@limit("gce")
def is_cross_entropy_near_0_and_mean_absolute_error_at_1():
    seen = noisy(scribbles=True)
    for q in (1e-4, 1.0):
        method = make("gce", {"q": q})
        plain = cross_entropy(method.logits(seen.image), seen.target)
        expected = plain if q < 1 else make("mae")(seen, 0.5)["mae"] * K / 2
        torch.testing.assert_close(method(seen, 0.5)["gce"], expected, rtol=1e-3, atol=0)


@limit("nr_dice")
def is_soft_dice_at_two():
    method, seen = make("nr_dice", {"gamma": 2.0}), noisy(scribbles=True)
    torch.testing.assert_close(method(seen, 0.5)["nr_dice"], soft_dice(method.logits(seen.image), seen.target))


@limit("trinet")
def is_a_third_of_cross_entropy_for_each_network_where_all_is_kept():
    method, seen = make("trinet", {"keep": 1.0}), noisy(scribbles=True)
    terms = method(seen, 0.9)
    for term, net in (("ce_first", method.net), ("ce_second", method.second), ("ce_third", method.third)):
        torch.testing.assert_close(terms[term], cross_entropy(net(seen.image)[0], seen.target) / 3)


@limit("confident_learning")
def is_cross_entropy_bit_for_bit_at_epsilon_0():
    seen = noisy()
    marked = dataclasses.replace(seen, target=torch.where(seen.target == 1, seen.target + DOUBTED, seen.target))
    plain = make("supervised", PLAIN)(seen, 0.0)["ce"]
    assert torch.equal(make("confident_learning", {"epsilon": 0.0})(marked, 0.0)["ce"], plain)


@limit("dast")
def is_two_cross_entropies_of_samples_apart_without_weight():
    method, seen = make("dast", {"weight": 0.0}), noisy(scribbles=True)
    features = method.net.encode(seen.image)
    clean, untrusted = (method.net.decode(features, number)[0] for number in (0, 1))
    terms = method(seen, 0.9)
    torch.testing.assert_close(terms["ce_clean"], cross_entropy(clean[::2], seen.target[::2]) / 2)
    torch.testing.assert_close(terms["ce_noisy"], cross_entropy(untrusted[1::2], seen.target[1::2]) / 2)
    assert terms["divergence"].item() == terms["supplement"].item() == 0


@limit("bcp")
def is_supervised_on_the_second_half_without_box_and_weight():
    method, seen = stage(settled("bcp", {"box": 0.0, "weight": 0.0}), "train"), batch(annotated=4, unannotated=4)
    terms = method(seen, 0.0)
    close(terms["ce"] + terms["dice"], supervised(method.logits(seen.image[2:4]), seen.target[2:4]))
    assert terms["pseudo"] == 0


@limit("dmpls")
def is_the_mean_of_two_partial_cross_entropies_without_weight():
    method, seen = make("dmpls", {"weight": 0.0}), batch(unannotated=0, kind="scribble")
    torch.manual_seed(7)
    first, second = (cross_entropy(logits, seen.target) for logits in branches(method.net, seen.image, 0.5))
    torch.manual_seed(7)
    terms = method(seen, 0.5)
    assert first != second
    assert terms["pseudo"] == 0
    torch.testing.assert_close(sum(terms.values()), (first + second) / 2)


@limit("dmsps")
def is_partial_cross_entropy_without_weight_and_with_equal_decoders():
    method, seen = make("dmsps", {"weight": 0.0, "dropout": 0.0}), batch(unannotated=0, kind="scribble")
    (second,) = method.net.body.others
    second.load_state_dict(method.net.body.decoder.state_dict())
    terms = method(seen, 0.5)
    assert terms["pseudo"] == 0
    torch.testing.assert_close(terms["ce"], cross_entropy(method.logits(seen.image), seen.target))


@limit("scribble2label")
def is_partial_cross_entropy_in_its_stages_without_weight():
    cls, seen = contract.find("scribble2label"), batch(unannotated=0, kind="scribble")
    same(learn(make(cls, {"weight": 0.0}), seen), learn(make("supervised", PLAIN), seen, like=cls))


@limit("random_walker")
def is_supervised_where_labels_are_dense():
    seen = batch(unannotated=0, kind="full")
    same(learn(make("random_walker"), seen), learn(make("supervised"), seen))


def same(weights, plain):
    """Bit for bit."""
    assert all(torch.equal(weights[name], value) for name, value in plain.items())
