"""Confident learning: the joint and the ranks against sorted numbers, flipped labels found, doubts on their way."""

import dataclasses

import numpy as np
import pytest
import torch

from baselines.augment import augment
from baselines.batch import Loaded
from baselines.cache import Extent, Prepared, _structures, extent, foreground
from baselines.confident import BINS, _bins, doubts
from baselines.config import AugmentConfig, TrainConfig
from baselines.methods.confident_learning import ConfidentLearning
from baselines.sampler import Sampler, lacks
from baselines.stages import DOUBTED, Seen
from converters.dataset import IGNORE
from converters.errors import BenchError

K = 3


def cases(count=3, flip=0.2, sure=2.0, seed=0):
    """(cases, truth): labels of which some are flipped, and the probabilities of a network that sees noisy images.

    A third of the voxels of each case is not annotated.
    """
    rng = np.random.default_rng(seed)
    made, truths = [], []
    for number in range(count):
        truth = rng.integers(0, K, (8, 9, 5)).astype(np.uint8)
        wrong = rng.random(truth.shape) < flip
        label = np.where(wrong, (truth + rng.integers(1, K, truth.shape)) % K, truth).astype(np.uint8)
        logits = sure * np.eye(K)[truth] + rng.normal(0, 1, (*truth.shape, K))
        p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        label[rng.random(truth.shape) < 1 / 3] = IGNORE
        made.append(seen(f"c{number}", label, np.moveaxis(p, -1, 0).astype(np.float32)))
        truths.append(truth)
    return made, truths


def seen(name, label, probabilities):
    return Seen(
        case=name,
        label=label,
        image=np.zeros((1, *label.shape), np.float32),
        probabilities=probabilities,
        spacing=(1.0, 1.0, 1.0),
        slice_axis=2,
        rng=np.random.default_rng(0),
    )


def by_sorting(label, p):
    """What is doubted of labels (N,) with probabilities (K, N), by sorting all of them: the rules written out."""
    counts = np.array([(label == i).sum() for i in range(K)])
    least = np.array([p[i][label == i].mean() for i in range(K)])
    joint = np.zeros((K, K))
    for n, i in enumerate(label):
        sure = [j for j in range(K) if p[j, n] >= least[j]]
        if sure:
            joint[i, max(sure, key=lambda j: p[j, n])] += 1
    joint = np.rint(joint / joint.sum(1, keepdims=True) * counts[:, None]).astype(int)
    found = np.zeros(len(label), bool)
    for i in range(K):
        mine = np.flatnonzero(label == i)
        wrong = {j: joint[i, j] for j in range(K) if j != i}
        lowest = set(mine[np.argsort(p[i, mine])][: sum(wrong.values())])
        widest = set()
        for j, number in wrong.items():
            widest |= set(mine[np.argsort(p[i, mine] - p[j, mine])][:number])
        found[list(lowest & widest)] = True
    return found & (p.argmax(0) != label)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_doubted_is_what_sorting_all_voxels_gives(seed):
    made, _ = cases(seed=seed)
    shown = np.concatenate([case.label[case.label != IGNORE] for case in made])
    p = np.concatenate([case.probabilities[:, case.label != IGNORE] for case in made], 1)
    judge = doubts(made)
    found = np.concatenate([judge.of(case)[case.label != IGNORE] for case in made])
    expected = by_sorting(shown, p)
    assert 20 < expected.sum() < len(expected) / 2
    assert (found != expected).sum() <= 2  # voxels in one bin with the last one of a rank


def test_most_flipped_voxels_are_found_and_few_others():
    made, truths = cases(flip=0.2, sure=5.0)
    judge = doubts(made)
    for case, truth in zip(made, truths, strict=True):
        found, shown = judge.of(case), case.label != IGNORE
        wrong = shown & (case.label != truth)
        assert not found[~shown].any()
        assert found[wrong].mean() > 0.9
        assert found[shown & ~wrong].mean() < 0.03


def test_labels_that_the_network_agrees_with_are_not_doubted():
    made, _ = cases(flip=0.0, sure=50.0)
    judge = doubts(made)
    assert not any(judge.of(case).any() for case in made)


def test_a_class_that_nobody_annotated_and_a_case_without_label_do_not_matter():
    made, _ = cases()
    shown = [dataclasses.replace(case, label=np.where(case.label == 2, IGNORE, case.label)) for case in made]
    hidden = dataclasses.replace(made[0], label=np.full_like(made[0].label, IGNORE))
    one, other = doubts(shown), doubts([hidden, *shown])
    assert all(np.array_equal(one.of(case), other.of(case)) for case in shown)
    assert not other.of(hidden).any()
    assert any(one.of(case).any() for case in shown)


def test_bins_keep_the_order_of_probabilities_and_tell_small_ones_apart():
    p = np.sort(np.concatenate((np.random.default_rng(0).random(1000), [0, 1e-6, 1e-5, 1 - 1e-5, 1]))).astype(
        np.float32
    )
    bins = _bins(p)
    assert (np.diff(bins) >= 0).all()
    assert bins.min() >= 0
    assert bins.max() < BINS
    assert len(set(_bins(np.array([1e-6, 1e-5, 1e-4, 1 - 1e-4, 1 - 1e-5], np.float32)))) == 5


class Read:
    """Cases that are counted each time somebody goes through them."""

    def __init__(self, made):
        self.made, self.times = made, 0

    def __iter__(self):
        self.times += 1
        return iter(self.made)


def test_relabelling_adds_the_mark_where_a_label_is_doubted_and_changes_no_other_voxel(make_learner):
    made, _ = cases()
    read = Read(made)
    drawn = list(make_learner.relabel(read))
    judge = doubts(made)
    assert read.times == 3
    for case, label in zip(made, drawn, strict=True):
        assert label.dtype == np.uint8
        found = judge.of(case)
        assert np.array_equal(label[~found], case.label[~found])
        assert np.array_equal(label[found], case.label[found] + DOUBTED)
        assert (label[found] != IGNORE).all()


def test_more_classes_than_marks_can_be_told_from_are_refused(make_learner):
    label = np.zeros((1, 1, 1), np.uint8)
    with pytest.raises(BenchError, match="128 classes"):
        list(make_learner.relabel([seen("a", label, np.full((128, 1, 1, 1), 1 / 128, np.float32))]))


@pytest.fixture
def make_learner():
    return ConfidentLearning(torch.nn.Identity)


def marked():
    """(target, the same with half of its annotated voxels doubted), slices first."""
    rng = np.random.default_rng(0)
    target = rng.choice(np.array([0, 0, 1, 2, IGNORE], np.uint8), (4, 16, 16))
    doubted = (target != IGNORE) & (rng.random(target.shape) < 0.5)
    return target, np.where(doubted, target + DOUBTED, target).astype(np.uint8)


def test_a_mark_changes_nothing_of_what_is_foreground_structure_or_annotated():
    target, doubted = marked()
    assert np.array_equal(foreground(target), foreground(doubted))
    assert np.array_equal(extent(target), extent(doubted))
    assert set(extent(doubted)) == {Extent.SOME}
    for codes in ([(1,)], [(1,), (2,)], [(1, 2)]):
        plain, other = (dict(_structures({"a": values}, codes)) for values in (target, doubted))
        assert plain.keys() == other.keys()
        assert all(np.array_equal(plain[name], other[name]) for name in plain)


def test_batches_of_doubted_targets_lie_where_the_others_do_and_keep_the_mark_through_augmentation():
    config = TrainConfig(batch=4, patch=(8, 8), grid=(1.0, 1.0), foreground=0.7)
    image = np.zeros((1, 4, 16, 16), np.float16)
    made = [
        Sampler([Prepared("a", image, target, foreground(target))], config, {"labelled": 1}, 0)(3)
        for target in marked()
    ]
    assert np.array_equal(np.where(made[1].target == IGNORE, IGNORE, made[1].target % DOUBTED), made[0].target)
    moved = []
    for samples in made:
        tensors = [torch.from_numpy(getattr(samples, n)) for n in ("image", "target", "case", "slice", "trusted")]
        loaded = Loaded(*tensors, annotated=(True,) * 4, step=3)
        settings = AugmentConfig(flip=True, quarter_turns=True, elastic=0.1)
        moved.append(augment(loaded, settings, torch.Generator().manual_seed(0)).target)
    plain, doubted = moved
    assert (doubted >= DOUBTED).any()
    assert ((doubted >= DOUBTED) & (doubted != IGNORE)).any()
    assert torch.equal(torch.where(doubted == IGNORE, IGNORE, doubted % DOUBTED), plain)


def prepared(name, *, trusted=False, annotated=True):
    target = np.full((4, 16, 16), 0 if annotated else IGNORE, np.uint8)
    return Prepared(name, np.zeros((1, 4, 16, 16), np.float16), target, foreground(target), trusted=trusted)


BOTH = {"trusted": 1, "untrusted": 1}


@pytest.mark.parametrize("patch", [(16, 16), (8, 16, 16)])
def test_half_of_a_batch_is_trusted_and_half_is_not(patch):
    view = [prepared("a"), prepared("b", annotated=False), prepared("c", trusted=True), prepared("d")]
    sampler = Sampler(view, TrainConfig(batch=6, patch=patch), BOTH, 0)
    for step in range(4):
        made = sampler(step)
        assert made.trusted.tolist() == [True] * 3 + [False] * 3
        assert 1 not in made.case
    assert lacks(view, BOTH) is None


def test_a_view_that_tells_no_label_from_another_lacks_a_share():
    clean, noisy, hidden = prepared("a", trusted=True), prepared("b"), prepared("c", annotated=False)
    assert lacks([noisy, hidden], BOTH) == "no label of this view is known to be clean"
    assert lacks([clean, hidden], BOTH) == "no label of this view is noisy"
    assert lacks([noisy, hidden], {"labelled": 1, "unlabelled": 1}) is None
    # As for annotated and unannotated cases, the share goes to the others.
    assert Sampler([noisy], TrainConfig(batch=2, patch=(16, 16)), BOTH, 0)(0).trusted.tolist() == [False, False]
