"""Sampling: a pure function of (seed, step)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.cache import Prepared, foreground
from baselines.config import TrainConfig
from baselines.sampler import Sampler, prefetch
from converters.dataset import IGNORE


def case(name, slices=4, size=(16, 16), annotated=True):
    """Every voxel of the image tells case and slice; one annotated foreground voxel per slice."""
    value = sum(map(ord, name)) * 10 + np.arange(slices)[:, None, None]
    image = np.broadcast_to(value, (slices, *size)).astype(np.float16)[None]
    target = np.full((slices, *size), 0 if annotated else IGNORE, np.uint8)
    if annotated:
        target[:, size[0] // 2, size[1] - 2] = 1
    return Prepared(name, image.copy(), target, foreground(target))


CASES = [case("a"), case("b"), case("c", annotated=False), case("d", annotated=False)]


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10_000))
def test_a_batch_depends_on_seed_and_step_alone(seed, step):
    config = TrainConfig(batch=4, patch=(8, 8))
    one = Sampler(CASES, config, {"labelled": 1, "unlabelled": 1}, seed)
    for before in (3, 0, step + 7):  # what was asked earlier leaves no trace
        one(before)
    a, b = one(step), Sampler(CASES, config, {"labelled": 1, "unlabelled": 1}, seed)(step)
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.target, b.target)
    assert np.array_equal(a.case, b.case)


def test_every_slice_is_seen_once_per_pass():
    sampler = Sampler(CASES[:2], TrainConfig(batch=4, patch=(16, 16)), {"labelled": 1}, 0)
    for number in (0, 1):
        seen = [
            (int(c), int(z))
            for step in (2 * number, 2 * number + 1)
            for c, z in zip(sampler(step).case, sampler(step).slice, strict=True)
        ]
        assert sorted(seen) == [(c, z) for c in (0, 1) for z in range(4)]


@pytest.mark.parametrize(("batch", "labelled"), [(12, 6), (5, 3), (2, 1)])
def test_a_batch_is_shared_between_annotated_and_unannotated_cases(batch, labelled):
    sampler = Sampler(CASES, TrainConfig(batch=batch, patch=(16, 16)), {"labelled": 1, "unlabelled": 1}, 0)
    seen = (sampler(0).target != IGNORE).any((1, 2))
    assert seen.tolist() == [True] * labelled + [False] * (batch - labelled)


def test_a_sample_is_trusted_where_the_view_does_not_call_its_label_noisy():
    clean = dataclasses.replace(CASES[0], trusted=True)
    made = Sampler([clean, CASES[1]], TrainConfig(batch=8, patch=(16, 16)), {"labelled": 1}, 0)(0)
    assert made.trusted.tolist() == [case == 0 for case in made.case]


def test_a_share_without_cases_goes_to_the_others():
    sampler = Sampler(CASES[:2], TrainConfig(batch=4, patch=(16, 16)), {"labelled": 1, "unlabelled": 1}, 0)
    assert (sampler(0).target != IGNORE).any((1, 2)).all()


def test_a_supervised_method_sees_no_unannotated_case():
    sampler = Sampler(CASES, TrainConfig(batch=4, patch=(16, 16)), {"labelled": 1}, 0)
    assert {int(c) for step in range(20) for c in sampler(step).case} == {0, 1}


def test_crops_centred_on_foreground_contain_it():
    config = TrainConfig(batch=4, patch=(8, 8), grid=(1.0, 1.0), foreground=1.0)
    sampler = Sampler([case("a", size=(40, 40))], config, {"labelled": 1}, 0)
    assert all((sampler(step).target == 1).any((1, 2)).all() for step in range(10))


def test_a_case_smaller_than_the_patch_is_padded_with_voxels_nobody_annotated():
    sampler = Sampler([case("a", size=(6, 20))], TrainConfig(batch=1, patch=(16, 16)), {"labelled": 1}, 0)
    made = sampler(0)
    outside = made.target[0] == IGNORE
    assert outside.sum() == 10 * 16
    assert len(np.unique(made.image)) == 1  # the edge is repeated, no zeros come in


def test_volumes_are_sampled_whole_or_cropped_in_3d():
    sampler = Sampler(CASES[:2], TrainConfig(batch=2, patch=(8, 8, 8)), {"labelled": 1}, 0)
    assert sampler(0).image.shape == (2, 1, 8, 8, 8)
    assert sampler(0).target.shape == (2, 8, 8, 8)


def test_prefetching_changes_neither_order_nor_content_and_raises_the_threads_own_error():
    sampler = Sampler(CASES[:2], TrainConfig(batch=2, patch=(16, 16)), {"labelled": 1}, 0)
    assert [made.step for made in prefetch(sampler, range(3, 9))] == list(range(3, 9))

    def broken(step):
        if step == 2:
            raise OSError("case x: disk on fire")
        return sampler(step)

    stream = prefetch(broken, range(5))
    assert next(stream).step == 0
    with pytest.raises(OSError, match="disk on fire"):
        list(stream)
