"""Sampling: a pure function of (seed, step)."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baselines.ahead import prefetch
from baselines.cache import Prepared, foreground
from baselines.config import TrainConfig
from baselines.sampler import Sampler
from converters.dataset import IGNORE
from converters.errors import BenchError


def case(name, slices=4, size=(16, 16), annotated=True):
    """Every voxel of the image tells case and slice; one annotated foreground voxel per slice."""
    value = sum(map(ord, name)) * 10 + np.arange(slices)[:, None, None]
    image = np.broadcast_to(value, (slices, *size)).astype(np.float16)[None]
    target = np.full((slices, *size), 0 if annotated else IGNORE, np.uint8)
    if annotated:
        target[:, size[0] // 2, size[1] - 2] = 1
    return Prepared(name, image.copy(), target, foreground(target))


BOTH = {"labelled": 1, "unlabelled": 1}
CASES = [case("a"), case("b"), case("c", annotated=False), case("d", annotated=False)]


@given(seed=st.integers(0, 2**31), step=st.integers(0, 10_000))
def test_a_batch_depends_on_seed_and_step_alone(seed, step):
    config = TrainConfig(batch=4, patch=(8, 8))
    one = Sampler(CASES, config, BOTH, seed)
    for before in (3, 0, step + 7):  # what was asked earlier leaves no trace
        one(before)
    a, b = one(step), Sampler(CASES, config, BOTH, seed)(step)
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


@pytest.mark.parametrize(
    ("cases", "batch", "composition", "told"),
    [
        ([], 4, BOTH, "no case"),
        (CASES, 1, BOTH, "train.batch = 1 has no room .*labelled, unlabelled"),
        (CASES, 4, {"labeled": 1}, "labeled.*labelled"),
    ],
)
def test_what_cannot_be_drawn_is_refused(cases, batch, composition, told):
    with pytest.raises(BenchError, match=told):
        Sampler(cases, TrainConfig(batch=batch, patch=(16, 16)), composition, 0)


@pytest.mark.parametrize(("batch", "labelled"), [(12, 6), (5, 3), (2, 1)])
def test_a_batch_is_shared_between_annotated_and_unannotated_cases(batch, labelled):
    sampler = Sampler(CASES, TrainConfig(batch=batch, patch=(16, 16)), BOTH, 0)
    seen = (sampler(0).target != IGNORE).any((1, 2))
    assert seen.tolist() == [True] * labelled + [False] * (batch - labelled)


def test_a_sample_is_trusted_where_the_view_does_not_call_its_label_noisy():
    clean = dataclasses.replace(CASES[0], trusted=True)
    made = Sampler([clean, CASES[1]], TrainConfig(batch=8, patch=(16, 16)), {"labelled": 1}, 0)(0)
    assert made.trusted.tolist() == [case == 0 for case in made.case]


def test_a_share_without_cases_goes_to_the_others():
    sampler = Sampler(CASES[:2], TrainConfig(batch=4, patch=(16, 16)), BOTH, 0)
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


@pytest.mark.fault(68)
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


def by_class(patch, cases, batch=8, **more):
    """A sampler that draws a structure first, and how often each code is in the middle of its samples."""
    config = TrainConfig(batch=batch, patch=patch, foreground_by="class", **more)
    return Sampler(cases, config, {"labelled": 1}, 5)


def test_slices_of_an_annotated_case_that_nobody_annotated_are_unlabelled():
    whole = case("a", slices=8)
    target = np.where(np.arange(8)[:, None, None] % 4 == 0, whole.target, IGNORE).astype(np.uint8)
    every_fourth = Prepared("a", whole.image, target, foreground(target))
    sampler = Sampler([every_fourth], TrainConfig(batch=4, patch=(16, 16)), BOTH, 0)
    made = [sampler(step) for step in range(6)]
    seen = [
        (int(z), bool((t != IGNORE).any())) for batch in made for z, t in zip(batch.slice, batch.target, strict=True)
    ]
    assert {z for z, labelled in seen if labelled} == {0, 4}
    assert {z for z, labelled in seen if not labelled} == {1, 2, 3, 5, 6, 7}
    assert sum(labelled for _, labelled in seen) == len(seen) / 2


def rare(name, shape=(20, 40, 40)):
    """Code 1 fills six slices, code 2 is one voxel of a seventh, code 3 one of an eighth; the last eight are hidden."""
    target = np.full(shape, IGNORE, np.uint8)
    target[:12] = 0
    target[:6] = 1
    target[8, 20, 30], target[10, 5, 6] = 2, 3
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float16)
    structures = tuple(np.flatnonzero(target == code).astype(np.uint32) for code in (1, 2, 3))
    return Prepared(name, image, target, foreground(target), structures=structures)


@pytest.mark.parametrize("patch", [(8, 8, 8), (8, 8)])
def test_by_class_each_structure_of_a_case_is_in_the_middle_of_a_crop_as_often_as_another(patch):
    sampler = by_class(patch, [rare("a"), rare("b")], grid=(1.0,) * len(patch), foreground=1.0)
    made = [sampler(step) for step in range(75)]
    assert all((batch.target != IGNORE).any(tuple(range(1, batch.target.ndim))).all() for batch in made)
    seen = np.concatenate([[(target == code).any() for code in (2, 3)] for batch in made for target in batch.target])
    shares = seen.reshape(-1, 2).mean(0)
    assert np.abs(shares - 1 / 3).max() < 0.07  # 600 samples: SD 0.02
    voxels = Sampler(
        sampler.cases, TrainConfig(batch=8, patch=patch, grid=(1.0,) * len(patch), foreground=1.0), BOTH, 5
    )
    at_random = [(target == 2).any() for step in range(75) for target in voxels(step).target]
    assert np.mean(at_random) < 0.2


def test_by_class_the_share_of_whole_slices_that_is_asked_for_holds_the_drawn_structure():
    sampler = by_class((40, 40), [rare("a")], foreground=0.6)
    seen = [at.slice for step in range(100) for at in sampler.draw(step).places]
    labelled = [*range(12)]
    assert set(seen) == set(labelled)
    alike = 0.4 / len(labelled)
    for z, share in ((8, 0.2 + alike), (10, 0.2 + alike), (11, alike)):
        assert abs(seen.count(z) / len(seen) - share) < 0.06
    assert all(at.start == (0, 0) for at in sampler.draw(3).places)


def test_by_class_is_a_pure_function_of_seed_and_step_and_hidden_cases_are_drawn_as_ever():
    hidden = dataclasses.replace(case("h", slices=20, size=(40, 40), annotated=False), structures=())
    one, other = (by_class((16, 16), [rare("a"), hidden], grid=(1.0, 1.0)) for _ in range(2))
    assert [one.draw(step) for step in (9, 2)] == [other.draw(step) for step in (9, 2)]
    mixed = Sampler([rare("a"), hidden], one.config, BOTH, 5)
    draws = [mixed.draw(step) for step in range(7)]  # 20 slices of the hidden case, 8 of the other that nobody marked
    drawn = [(c, at.slice) for draw in draws for c, at in zip(draw.case, draw.places, strict=True)]
    assert {z for c, z in drawn if c == 1} == set(range(20)) and {z for c, z in drawn if c == 0} == set(range(20))


def test_drawing_touches_no_voxel():
    class Untouchable(np.ndarray):
        def __getitem__(self, key):
            raise AssertionError("a voxel was read")

    whole = rare("a")
    blind = dataclasses.replace(
        whole, image=whole.image.view(Untouchable), target=whole.target[:1].repeat(20, 0).view(Untouchable)
    )
    for by in ("voxel", "class"):
        config = TrainConfig(batch=4, patch=(8, 8, 8), grid=(1.0,) * 3, foreground_by=by)
        sampler = Sampler([blind], config, {"labelled": 1}, 0)
        assert len(sampler.draw(0).places) == 4
        with pytest.raises(AssertionError, match="a voxel was read"):
            sampler(0)


@pytest.mark.parametrize("kind", ["some", "all", "none"])
@pytest.mark.parametrize("patch", [(8, 8), (8, 8, 8)])
def test_which_samples_are_annotated_is_known_without_their_voxels(kind, patch):
    made = rare("a")
    if kind != "some":
        target = np.full_like(made.target, IGNORE if kind == "none" else 1)
        made = Prepared("a", made.image, target, foreground(target))
    sampler = Sampler([made], TrainConfig(batch=6, patch=patch, grid=(1.0,) * len(patch)), BOTH, 0)
    for step in range(20):
        seen = (sampler(step).target != IGNORE).any(tuple(range(1, len(patch) + 1)))
        assert sampler.annotated(sampler.draw(step)) == tuple(seen.tolist())
