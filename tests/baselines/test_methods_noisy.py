"""Methods for noisy labels: each equation and each selection against numpy, and each limit case."""

import dataclasses

import numpy as np
import pytest
import torch
from gates import batch, clone, learn, make, reaches, rows

from baselines.batch import classes_one_hot
from baselines.model import load_model
from baselines.ramps import ramp_up
from baselines.selection import mean_over, smallest
from baselines.stages import DOUBTED
from baselines.train import Setting, train
from converters.dataset import IGNORE, Dataset
from converters.export import voxels

K = 3


def noisy(scribbles=False):
    """Four samples; some voxels of the last two are not annotated, and every other sample is trusted."""
    seen = batch(kind="noisy", annotated=4, unannotated=0)
    target = seen.target.clone()
    if scribbles:
        target[2:, ::2] = IGNORE
    return dataclasses.replace(seen, target=target, trusted=torch.tensor([True, False, True, False]))


def softmax(logits):
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


def of_voxels(method, seen, net):
    """Probabilities (N, K), one-hot labels (N, K), of the annotated voxels, float64."""
    logits = getattr(method, net)(seen.image)[0].detach().double().numpy()
    p = np.moveaxis(softmax(logits), 1, -1)
    shown = (seen.target != IGNORE).numpy()
    return p[shown], np.eye(K)[seen.target.numpy()[shown]]


def test_mae_is_the_mean_absolute_error():
    method, seen = make("mae"), noisy(scribbles=True)
    value = method(seen, 0.5)["mae"]
    p, y = of_voxels(method, seen, "net")
    assert value.item() == pytest.approx(np.abs(p - y).mean(), rel=1e-5)


@pytest.mark.parametrize("gamma", [1.0, 1.5, 2.0])
def test_nr_dice_follows_its_equation(gamma):
    method, seen = make("nr_dice", {"gamma": gamma}), noisy(scribbles=True)
    p, y = of_voxels(method, seen, "net")
    expected = (np.abs(p - y) ** gamma).sum(0) / ((p**2).sum(0) + (y**2).sum(0) + 1e-5)
    value = method(seen, 0.5)["nr_dice"]
    assert value.item() == pytest.approx(expected.mean(), rel=1e-5)
    assert reaches(value, list(method.parameters()))


@pytest.mark.parametrize("share", [1.0, 0.85, 0.5, 1e-9])
def test_the_smallest_losses_are_kept_of_annotated_voxels_alone(share):
    rng = np.random.default_rng(0)
    loss, shown = rng.random((2, 9, 9), np.float32), rng.random((2, 9, 9)) < 0.7
    kept = smallest(torch.from_numpy(loss), torch.from_numpy(shown), share).numpy()
    count = max(1, int(share * shown.sum()))
    assert kept.sum() == count
    assert not (kept & ~shown).any()
    assert loss[kept].max() <= np.sort(loss[shown])[count - 1]


def test_where_nothing_is_annotated_nothing_is_kept_and_the_mean_is_0():
    loss = torch.ones(2, 3, 3, requires_grad=True)
    kept = smallest(loss, torch.zeros(2, 3, 3, dtype=torch.bool), 0.5)
    assert not kept.any()
    assert mean_over(loss, kept).item() == 0
    assert mean_over(loss, kept).requires_grad


def easy(p, y, share):
    """Losses (N,) and which of them are among the smallest."""
    loss = -np.log((p * y).sum(1))
    return loss, loss <= np.sort(loss)[int(share * len(loss)) - 1]


@pytest.mark.parametrize("progress", [0.0, 0.45, 0.9])
def test_each_of_two_networks_learns_from_what_the_other_finds_easy(progress):
    method, seen = make("co_teaching"), noisy(scribbles=True)
    share = 1 - 0.15 * ramp_up(progress, 0.1, 0.8)
    first, kept_first = easy(*of_voxels(method, seen, "net"), share)
    second, kept_second = easy(*of_voxels(method, seen, "peer"), share)
    terms = method(seen, progress)
    assert terms["ce_first"].item() == pytest.approx(first[kept_second].mean(), rel=1e-4)
    assert terms["ce_second"].item() == pytest.approx(second[kept_first].mean(), rel=1e-4)


@pytest.mark.parametrize(("progress", "share"), [(0.1, 1.0), (0.45, 0.95), (0.8, 0.9)])
def test_each_of_three_networks_learns_from_what_both_others_find_easy(progress, share):
    method, seen = make("trinet"), noisy(scribbles=True)
    (a, easy_a), (b, easy_b), (c, easy_c) = (
        easy(*of_voxels(method, seen, net), share) for net in ("net", "second", "third")
    )
    expected = [a[easy_b & easy_c].mean(), b[easy_a & easy_c].mean(), c[easy_a & easy_b].mean()]
    found = [value.item() for value in method(seen, progress).values()]
    assert found == pytest.approx([value / 3 for value in expected], rel=1e-3)


@pytest.mark.parametrize(("name", "parts"), [("co_teaching", ("net", "peer")), ("trinet", ("net", "second", "third"))])
def test_a_term_teaches_its_own_network_alone_and_the_mean_of_all_predicts(name, parts):
    method, seen = make(name), noisy()
    for number, value in enumerate(method(seen, 0.9).values()):
        for other, part in enumerate(parts):
            assert reaches(value, list(getattr(method, part).parameters())) == (number == other)
    mean = torch.stack([getattr(method, part)(seen.image)[0] for part in parts]).mean(0)
    torch.testing.assert_close(method.logits(seen.image), mean)


def test_a_doubted_label_is_smoothed_over_the_other_classes():
    method, seen = make("confident_learning"), noisy(scribbles=True)
    doubted = (seen.target == 1) & (torch.arange(16) % 2 == 0)
    marked = dataclasses.replace(seen, target=torch.where(doubted, seen.target + 128, seen.target))
    p, y = of_voxels(method, seen, "net")
    mark = doubted.numpy()[(seen.target != IGNORE).numpy()]
    assert 0 < mark.sum() < len(mark)
    y[mark] = 0.75 * y[mark] + 0.25 / 2 * (1 - y[mark])
    np.testing.assert_allclose(y.sum(1), 1)
    assert method(marked, 0.0)["ce"].item() == pytest.approx(-(y * np.log(p)).sum(1).mean(), rel=1e-5)


def test_no_other_method_takes_a_doubted_label():
    with pytest.raises((RuntimeError, IndexError)):
        classes_one_hot(torch.full((1, 4, 4), 129), K)


@pytest.mark.parametrize("name", ["mae", "gce", "nr_dice", "co_teaching", "trinet", "dast", "confident_learning"])
def test_what_nobody_annotated_teaches_nothing(name):
    """A semi view and a noisy one: labels of hidden samples are not there, so their images change no gradient."""
    method, seen = make(name).eval(), noisy()
    hidden = dataclasses.replace(seen, target=seen.target.clone(), annotated=(True, True, False, False))
    hidden.target[2:] = IGNORE
    hidden.image[2:] = 0
    shown = rows(seen, [0, 1])
    for term, value in method(hidden, 0.9).items():
        torch.testing.assert_close(value, method(shown, 0.9)[term])


@pytest.mark.parametrize("name", ["mae", "nr_dice", "co_teaching", "trinet", "dast", "confident_learning"])
def test_every_network_learns(name):
    method = make(name)
    before = clone(method)
    learn(method, noisy(), steps=2)
    after = clone(method)
    moved = {weight for weight, value in after.items() if not torch.equal(value, before[weight])}
    # A bias before a norm has no gradient.
    assert {weight for weight in after if weight.endswith("head.weight")} <= moved
    assert len({weight.split(".")[0] for weight in moved}) == {"co_teaching": 2, "trinet": 3}.get(name, 1)


def test_both_stages_of_confident_learning_run_and_only_marks_are_added_to_labels(whole, small, tmp_path):
    trained = train(whole, small(method="confident_learning", steps=30), tmp_path, Setting())
    assert load_model(trained.model, torch.device("cpu"))[1].config.method == "confident_learning"
    drawn = Dataset.load(next(tmp_path.rglob("dataset.json")).parent)
    marks = 0
    for case in whole.cases:
        before, after = (voxels(view, view.case(case.id).label).array for view in (whole, drawn))
        assert set(np.unique(after - before)) <= {0, DOUBTED}
        marks += (after != before).sum()
    assert marks > 0
