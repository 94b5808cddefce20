"""Methods for scribbles: their terms against the equations written out in numpy, in 2D and in 3D."""

import dataclasses
import math

import gates
import numpy as np
import pytest
import torch

from baselines.branches import branches
from baselines.losses import soft_dice
from baselines.perturb import Turn
from baselines.regularisers import gated_crf, intensity_variance, mumford_shah, total_variation
from baselines.stages import DOUBTED
from converters.dataset import IGNORE

FAMILY = {
    "pce_entropy": ("entropy", lambda p, image: 0.1 * entropy(p).mean() / math.log(3)),
    "pce_tv": ("tv", lambda p, image: 1e-2 * total_variation(p)),
    "mumford_shah": ("mumford_shah", lambda p, image: 1e-6 * 12 * mumford_shah(p, image)),
    "gated_crf": ("crf", lambda p, image: 0.1 * gated_crf(p, image)),
    "intensity_variance": ("variance", lambda p, image: 0.1 * math.exp(-5 * 0.6**2) * intensity_variance(p, image)),
}


def scribbled(ndim=2):
    return gates.batch(ndim, unannotated=0, annotated=2, kind="scribble")


def still(name, options=None, ndim=2):
    """The method with far from even logits, and nothing random but what it draws itself."""
    method = gates.make(name, options, ndim).eval()
    spread(method.net, seed=0)
    return method


@torch.no_grad()
def spread(net, seed):
    torch.manual_seed(seed)
    for weight in net.parameters():
        weight.normal_(0, 0.3)


def entropy(p):
    return -(p * torch.log(p + 1e-6)).sum(1)


def pce(logits, target):
    """Mean over drawn voxels of -log p(target), voxel by voxel."""
    p = logits.double().softmax(1).movedim(1, -1).reshape(-1, logits.shape[1])
    drawn = [-math.log(row[int(code)]) for row, code in zip(p, target.reshape(-1), strict=True) if code != IGNORE]
    return sum(drawn) / len(drawn) if drawn else 0.0


def near(value):
    return pytest.approx(float(value), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["ce", *FAMILY])
@torch.no_grad()
def test_partial_cross_entropy_and_one_term_more(name, ndim):
    method, seen = still(name, ndim=ndim), scribbled(ndim)
    logits = method.logits(seen.image)
    terms = method(seen, 0.4)
    assert terms.pop("ce") == near(pce(logits, seen.target))
    if name == "ce":
        assert terms == {}
        return
    term, by_hand = FAMILY[name]
    assert terms.keys() == {term}
    assert terms[term] == near(by_hand(logits.softmax(1), seen.image))


def test_options_of_a_regulariser_are_heeded():
    """PyMIC reads those of Mumford-Shah by names that its parser has changed."""
    seen = scribbled()
    for name, option, value in [
        ("mumford_shah", "length", 0.0),
        ("gated_crf", "place", 2.0),
        ("gated_crf", "intensity", 0.5),
        ("gated_crf", "radius", 2),
    ]:
        term = FAMILY[name][0]
        assert still(name)(seen, 1.0)[term] != still(name, {option: value})(seen, 1.0)[term], option


@pytest.mark.parametrize("ndim", [2, 3])
@pytest.mark.parametrize("name", ["dmpls", "dmsps"])
@torch.no_grad()
def test_two_branches_learn_from_a_mixture_of_both(name, ndim):
    method, seen = still(name, ndim=ndim), scribbled(ndim)
    torch.manual_seed(7)
    first, second = branches(method.net, seen.image, 0.5)
    share = float(torch.rand(()))
    torch.manual_seed(7)
    terms = method(seen, 0.5)
    mixed = share * first.softmax(1).numpy() + (1 - share) * second.softmax(1).numpy()
    if name == "dmpls":
        label = torch.from_numpy(mixed.argmax(1))
        pseudo = 0.5 * (soft_dice(first, label) + soft_dice(second, label)) / 2
    else:
        fits = [(mixed * logits.log_softmax(1).numpy()).sum(1).mean() for logits in (first, second)]
        pseudo = -8.0 * np.mean(fits)
    assert terms["pseudo"] == near(pseudo)
    assert terms["ce"] == near((pce(first, seen.target) + pce(second, seen.target)) / 2)


@pytest.mark.parametrize("name", ["dmpls", "dmsps"])
def test_a_mixture_is_drawn_anew_each_time_and_teaches_both_decoders(name):
    method, seen = still(name, {"dropout": 0.0}), scribbled()
    mixtures = {float(method(seen, 0.5)["pseudo"].detach()) for _ in range(4)}
    assert len(mixtures) > 1
    decoders = list(method.net.body.decoder.parameters()), list(method.net.body.others.parameters())
    for weights in decoders:
        assert gates.reaches(method(seen, 0.5)["pseudo"], weights)


@torch.no_grad()
def test_no_channel_is_dropped_for_the_decoder_that_predicts():
    method, seen = still("dmpls"), scribbled()
    first, second = branches(method.net, seen.image, 0.5)
    assert torch.equal(first, method.logits(seen.image))
    assert not torch.equal(second, method.net.decode(method.net.encode(seen.image), 1)[0])


@torch.no_grad()
def test_dmsps_predicts_the_mean_of_both_decoders():
    method, seen = still("dmsps"), scribbled()
    features = method.net.encode(seen.image)
    mean = sum(method.net.decode(features, number)[0].softmax(1) for number in (0, 1)) / 2
    torch.testing.assert_close(method.logits(seen.image).softmax(1), mean)


@pytest.mark.parametrize("ndim", [2, 3])
@torch.no_grad()
def test_ustm_asks_where_the_teacher_is_sure_for_what_it_says_of_the_turned_image(ndim):
    method, seen = still("ustm", {"noise": 0.0, "passes": 2}, ndim), scribbled(ndim)
    doubted = believed = 0
    for seed in range(8):
        spread(method.teacher, seed)
        torch.manual_seed(seed)
        turn = Turn.drawn()
        torch.manual_seed(seed)
        terms = method(seen, 0.5)
        teacher = method.teacher(turn(seen.image))[0].softmax(1)
        ramp = math.exp(-5 * 0.5**2)
        sure = entropy(teacher).numpy() < (0.75 + 0.25 * ramp) * math.log(3)
        error = ((turn(method.logits(seen.image).softmax(1)) - teacher) ** 2).sum(1).numpy()
        assert terms["consistency"] == near(ramp * error[sure].sum() / max(1, 2 * sure.sum()))
        assert terms["ce"] == near(pce(method.logits(seen.image), seen.target))
        believed, doubted = believed + int(sure.sum()), doubted + int((~sure).sum())
    assert min(believed, doubted) > 100


def test_the_teacher_of_ustm_is_asked_again_and_again_under_noise():
    few, many = (still("ustm", {"passes": passes, "noise": 3.0}) for passes in (1, 8))
    asked = []
    for method in (few, many):
        method.teacher.register_forward_hook(lambda *call: asked.append(call[0]))
        method(scribbled(), 1.0)
    assert [sum(one is method.teacher for one in asked) for method in (few, many)] == [2, 9]


@torch.no_grad()
def test_grown_labels_are_a_loss_of_their_own():
    method, seen = still("scribble2label"), scribbled()
    logits = method.logits(seen.image)
    assert method(seen, 0.1).keys() == {"ce"}
    method.enter(method.stages[1])
    grown = torch.where((seen.target == IGNORE) & (seen.image[:, 0] > 0.5), 1 + DOUBTED, seen.target)
    terms = method(dataclasses.replace(seen, target=grown), 0.5)
    assert terms["ce"] == near(pce(logits, seen.target))
    alone = torch.where(grown == 1 + DOUBTED, 1, IGNORE)
    assert terms["pseudo"] == near(0.5 * pce(logits, alone))


@pytest.mark.parametrize("name", ["ce", *FAMILY, "dmpls", "dmsps", "ustm", "scribble2label"])
def test_without_a_scribble_in_the_batch_all_is_finite(name):
    method = still(name)
    seen = scribbled()
    seen = dataclasses.replace(seen, target=torch.full_like(seen.target, IGNORE), annotated=(False, False))
    terms = method(seen, 0.5)
    sum(terms.values()).backward()
    assert terms["ce"] == 0
    assert all(torch.isfinite(w.grad).all() for w in method.parameters() if w.grad is not None)


@pytest.mark.parametrize("name", FAMILY)
@torch.no_grad()
def test_a_batch_in_parts_weighs_a_regulariser_the_same(name):
    method, seen, (term, _) = still(name), scribbled(), FAMILY[name]
    parts = [method(seen.part(number, 2), 0.5)[term] for number in range(2)]
    assert method(seen, 0.5)[term] == near(sum(parts) / 2)
