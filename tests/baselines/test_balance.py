"""Options of intensity, space and class balance: what they do, and that at their defaults nothing is another."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from views import hide, weights

from baselines.balance import median_frequency
from baselines.cache import prepare
from baselines.config import TrainConfig, plain
from baselines.grid import network_size, normalise
from baselines.losses import Balance, soft_dice, supervision
from baselines.model import load_model
from baselines.train import RefusedError, Setting, train
from converters.errors import BenchError


def labelled(whole, counts):
    """Cases with so many voxels of each code."""
    cases = []
    for case, voxels in zip(whole.cases, counts, strict=False):
        found = {str(code): count for code, count in voxels.items()}
        cases.append(msgspec.structs.replace(case, label=msgspec.structs.replace(case.label, voxels=found)))
    return dataclasses.replace(whole, cases=tuple(cases))


def test_median_frequencies_are_those_of_the_paper(whole):
    # Class 2 is in the first case alone: its frequency is over the 100 annotated voxels there, whatever 255 is.
    view = labelled(whole, [{0: 80, 1: 10, 2: 10, 255: 900}, {0: 90, 1: 10}])
    frequencies = [170 / 200, 20 / 200, 10 / 100]
    assert median_frequency(view) == pytest.approx([0.1 / f for f in frequencies] + [1.0])
    assert median_frequency(hide(view, ())) == (1.0,) * 4


def test_classes_weigh_in_the_cross_entropy_and_not_in_the_dice():
    logits = torch.randn(2, 3, 5, 5)
    target = torch.randint(3, (2, 5, 5))
    target[0, 0] = 255
    weighed = torch.tensor([0.5, 2.0, 1.0])
    known = target != 255
    expected = torch.nn.functional.cross_entropy(logits, target, weighed, ignore_index=255)
    terms = supervision(logits, target, 1.0, 1.0, Balance(classes=weighed))
    torch.testing.assert_close(terms["ce"], expected)
    plain_terms = supervision(logits, target, 1.0, 1.0)
    assert torch.equal(terms["dice"], plain_terms["dice"]) and known.any()
    assert torch.equal(supervision(logits, target, 1.0, 1.0, Balance(classes=torch.ones(0)))["ce"], plain_terms["ce"])


def test_a_smooth_dice_forgives_a_class_that_is_nowhere():
    logits = torch.zeros(1, 2, 4, 4)
    target = torch.zeros(1, 4, 4, dtype=torch.long)
    p = 0.5
    for smooth in (1e-5, 100.0):
        background = 1 - (2 * 16 * p + smooth) / (16 * p * p + 16 + smooth)
        nowhere = 1 - smooth / (16 * p * p + smooth)
        terms = supervision(logits, target, 0.0, 1.0, Balance(smooth=smooth))
        assert terms["dice"].item() == pytest.approx((background + nowhere) / 2, abs=1e-6)
    assert torch.equal(supervision(logits, target, 0.0, 1.0)["dice"], soft_dice(logits, target))


def test_a_training_with_balance_is_another_one_and_says_so(whole, small, tmp_path):
    kinds = {"none": {}, "weights": {"class_weights": "median_frequency"}, "smooth": {"options": {"smooth": 1.0}}}
    for name, changes in kinds.items():
        train(whole, small(**changes), tmp_path / name, Setting())
    assert len({weights(tmp_path / name) for name in kinds}) == 3
    method, spec = load_model(tmp_path / "weights", torch.device("cpu"))
    assert method.class_weights.tolist() == pytest.approx(median_frequency(whole))
    assert spec.class_weights == median_frequency(whole)
    with pytest.raises(RefusedError, match="no weights of classes"):
        train(whole, small(method="gce", class_weights="median_frequency"), tmp_path / "gce", Setting())


def test_intensities_as_the_recipe_says():
    image = np.arange(1000, dtype=np.int16).reshape(1, 10, 10, 10)
    low, high = np.percentile(image, (0.5, 99.5))
    window, zscore, ranged = (normalise(image, None, kind)[0].numpy() for kind in ("window", "zscore", "range"))
    assert zscore.mean() == pytest.approx(0, abs=1e-5) and zscore.std() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(zscore, (image[0] - image.mean()) / image.std(), rtol=1e-4, atol=1e-5)
    assert window.max() < zscore.max()
    np.testing.assert_allclose(ranged, (image[0].clip(low, high) - low) / (high - low), rtol=1e-5, atol=1e-6)
    assert normalise(image, (100.0, 300.0), "range")[0, :4].max() == pytest.approx(1.0)
    assert torch.equal(normalise(np.full((1, 2, 2, 2), 7), None, "range"), torch.zeros(1, 2, 2, 2))


def test_intensities_have_packs_of_their_own_and_the_usual_ones_stay(whole, small, tmp_path):
    for intensity in ("window", "zscore", "range"):
        prepare(whole, small(intensity=intensity), tmp_path / intensity)
    found = {name: {p.name for p in (tmp_path / name).iterdir()} for name in ("window", "zscore", "range")}
    shared = found["window"] & found["zscore"] & found["range"]
    assert all(len(names - shared) == 1 for names in found.values())  # the images; targets are the same


def test_a_case_may_keep_its_own_voxels(whole, small):
    for patch in ((16, 16), (8, 16, 16)):
        config = small(grid="native", patch=patch)
        assert network_size(whole.cases[0].geometry, config) == (4, 32, 28)
        (case, *_) = prepare(whole, config)
        assert case.image.shape == (1, 4, 32, 28)


def test_settings_that_came_later_are_named_only_where_they_are_others():
    assert {"intensity", "class_weights"}.isdisjoint(plain(TrainConfig()))
    assert plain(TrainConfig(intensity="range"))["intensity"] == "range"
    with pytest.raises(BenchError, match="'native' or one spacing"):
        TrainConfig(grid=(1.0,))
