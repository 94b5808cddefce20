"""Labels that methods draw from scribbles: scribbles stay, the rest follows its rule, and it repeats."""

import dataclasses
import math

import gates
import numpy as np
import pytest
from tiny import tiny_dataset

from baselines.stages import DOUBTED, Seen
from baselines.train import Setting, train
from bench import protocols, splits
from bench.views import view
from converters.dataset import IGNORE, Dataset
from converters.volume import read_label

SHAPE = (12, 10, 5)
ROW = slice(2, 9)


def pictured(axis=2, channels=1):
    """A bright block in the dark, in five slices along an axis, and its label map of 0 and 2."""
    rng = np.random.default_rng(3)
    label = np.zeros(SHAPE, np.uint8)
    label[3:9, ROW] = 2
    image = 100.0 * (label[None] > 0) + rng.normal(0, 3, (channels, *SHAPE))
    return np.moveaxis(image, 3, axis + 1).astype(np.float32), np.moveaxis(label, 2, axis)


def scribbles(truth, axis=2):
    """Slice 0: both; 1: nothing; 2: background alone; 3: the structure alone; 4: dense."""
    slices = np.full_like(np.moveaxis(truth, axis, 0), IGNORE)
    whole = np.moveaxis(truth, axis, 0)
    slices[0, 1, 1:9], slices[0, 6, 4:7] = 0, 2
    slices[2, 1, 1:9] = 0
    slices[3, 6, 4:7] = 2
    slices[4] = whole[4]
    return np.ascontiguousarray(np.moveaxis(slices, 0, axis))


def seen(label, image, axis=2, **facts):
    return Seen(
        case="a",
        label=label,
        image=image,
        probabilities=facts.pop("probabilities", None),
        spacing=(1.0, 1.0, 8.0),
        slice_axis=axis,
        rng=np.random.default_rng(0),
        **facts,
    )


def softmaxed(seed, sharp=4.0):
    p = np.exp(np.random.default_rng(seed).normal(0, sharp, (3, *SHAPE)))
    return (p / p.sum(0)).astype(np.float32)


def drawn(name, case, options=None):
    (found,) = gates.make(name, options).relabel([case])
    return found


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_walker_finds_the_block_in_each_slice_that_tells_two_things_apart(axis, channels):
    image, truth = pictured(axis, channels)
    label = scribbles(truth, axis)
    found = drawn("random_walker", seen(label, image, axis))
    assert found.shape == label.shape
    assert found.dtype == np.uint8
    assert (found[label != IGNORE] == label[label != IGNORE]).all()
    slices, whole, given = (np.moveaxis(array, axis, 0) for array in (found, truth, label))
    assert (slices[0] == whole[0]).all()
    assert (slices[1] == IGNORE).all()
    assert (slices[2] == 0).all()
    assert (slices[3] == given[3]).all()
    assert (slices[4] == whole[4]).all()


def test_the_walker_repeats_and_scale_does_not_count():
    image, truth = pictured()
    label = scribbles(truth)
    first = drawn("random_walker", seen(label, image))
    assert (drawn("random_walker", seen(label, image)) == first).all()
    assert (drawn("random_walker", seen(label, image * 0.001 + 4)) == first).all()


def test_the_walker_goes_by_contrast_and_by_what_is_near():
    """With beta 0 every edge is alike, and only places count."""
    image, truth = pictured()
    label = scribbles(truth)
    assert (drawn("random_walker", seen(label, image), {"beta": 0.0})[..., 0] != truth[..., 0]).any()
    flat = drawn("random_walker", seen(label, np.ones_like(image)))
    assert (flat[..., 0] == label[..., 0]).all(), "nothing to go by"


def test_a_case_in_which_nobody_drew_stays_without_a_label():
    image, truth = pictured()
    nothing = np.full_like(truth, IGNORE)
    case = seen(nothing, image, probabilities=softmaxed(0))
    assert (drawn("random_walker", case) == IGNORE).all()
    assert (drawn("dmsps", case) == IGNORE).all()
    assert (drawn("scribble2label", case)[0] == IGNORE).all()


def test_scribbles_of_dmsps_grow_to_where_the_entropy_is_low():
    image, truth = pictured()
    label, p = scribbles(truth), softmaxed(1)
    found = drawn("dmsps", seen(label, image, probabilities=p))
    expected = label.copy()
    for at in np.ndindex(SHAPE):
        doubt = -sum(v * math.log(v + 1e-6) for v in p[(slice(None), *at)]) / math.log(3)
        if label[at] == IGNORE and doubt < 0.1:
            expected[at] = p[(slice(None), *at)].argmax()
    assert (found == expected).all()
    assert 0 < (found != label).mean() < 1
    assert (found == IGNORE).any()


def test_labels_of_scribble2label_follow_the_running_average():
    image, truth = pictured()
    label = scribbles(truth)
    case, average, gathered = seen(label, image), 0.0, 0.0
    for seed in range(3):
        p = softmaxed(seed, 6.0 if seed else 3.0)
        found, state = drawn("scribble2label", dataclasses.replace(case, probabilities=p))
        average, gathered = 0.2 * p.astype(np.float64) + 0.8 * average, 0.2 + 0.8 * gathered
        assert state.dtype == np.float16
        np.testing.assert_allclose(state, average, atol=2e-3)
        mean = average / gathered
        grows = (label == IGNORE) & (mean.max(0) > 0.8)
        unsure = np.abs(mean.max(0) - 0.8) < 5e-3  # what half precision may decide otherwise
        expected = np.where(grows, mean.argmax(0) + DOUBTED, label)
        assert ((found == expected) | unsure).all()
        assert 0 < grows.sum() < (label == IGNORE).sum()
        assert (found[label != IGNORE] == label[label != IGNORE]).all()
        case = dataclasses.replace(case, previous=state)


def test_one_certain_prediction_is_enough_for_the_first_labels():
    image, truth = pictured()
    label = scribbles(truth)
    sure = np.stack([truth == k for k in range(3)]).astype(np.float32)
    found, _ = drawn("scribble2label", seen(label, image, probabilities=sure))
    assert (np.where(found == IGNORE, IGNORE, found % DOUBTED) == truth).all()


def test_a_dense_label_does_not_grow():
    image, truth = pictured()
    case = seen(truth, image, probabilities=softmaxed(2))
    assert (drawn("random_walker", case) == truth).all()
    assert (drawn("dmsps", case) == truth).all()
    assert (drawn("scribble2label", case)[0] == truth).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("random_walker", {}), ("scribble2label", {"threshold": 0.3}), ("dmsps", {"threshold": 0.95})],
)
def test_a_training_keeps_every_scribble_and_learns_from_more(name, options, small, tmp_path):
    """From a view on disk, through every stage; thresholds are such that a network of a few steps is sure enough."""
    dataset = tiny_dataset(tmp_path / "tiny", 4, shape=(24, 20, 3), scribbles=True)
    shown = view(dataset, splits.freeze_default(dataset), protocols.parse("scribble"), 0, tmp_path / "view")
    config = small(method=name, steps=20, lr=0.1, options=options)
    train(shown, config, tmp_path / "m", Setting())
    views = sorted((tmp_path / "m").glob("*/view"))
    assert len(views) == sum(stage.relabel for stage in gates.make(name).stages)
    grown = 0
    for path in views:
        for before, after in zip(shown.cases, Dataset.load(path).cases, strict=True):
            drawn = read_label(shown.path(before.label.file)).array
            label = read_label(path / after.label.file).array
            assert np.isin(label, [*range(4), *(range(DOUBTED, DOUBTED + 4)), IGNORE]).all()
            assert (label[drawn != IGNORE] == drawn[drawn != IGNORE]).all()
            grown += int((label[drawn == IGNORE] != IGNORE).sum())
    assert grown > 0
