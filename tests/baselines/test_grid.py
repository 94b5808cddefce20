"""Grids: there and back, and nothing moves on the way."""

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label

from baselines.config import TrainConfig, plain
from baselines.grid import (
    faced,
    network_axes,
    network_size,
    normalise,
    resample,
    resample_labels,
    to_case,
    to_network,
    typical_spacing,
)
from converters.dataset import IGNORE, Geometry


def geometry(shape=(40, 30, 8), spacing=(1.5, 1.5, 10.0), axis=2):
    return Geometry(
        shape=shape,
        spacing_mm=spacing,
        affine=((spacing[0], 0, 0, 0), (0, spacing[1], 0, 0), (0, 0, spacing[2], 0), (0, 0, 0, 1)),
        source_orientation="RAS",
        slice_axis=axis,
    )


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_network_axes_put_slices_first_and_can_be_undone(axis):
    of = geometry(axis=axis)
    array = np.arange(40 * 30 * 8).reshape(40, 30, 8)
    there = to_network(array, of)
    assert network_axes(of)[0] == axis
    assert there.shape[0] == array.shape[axis]
    assert np.array_equal(to_case(there, of), array)


@pytest.mark.parametrize(("plane", "axis"), [("stack", 2), ("sagittal", 0), ("coronal", 1), ("axial", 2)])
def test_a_case_is_cut_in_the_plane_that_is_asked_for(whole, plane, axis):
    case = whole.cases[0]
    seen = faced(case, TrainConfig(plane=plane))
    assert (case.geometry.slice_axis, seen.geometry.slice_axis) == (2, axis)
    assert msgspec.structs.replace(seen, geometry=case.geometry) == case
    assert "plane" not in plain(TrainConfig()) and plain(TrainConfig(plane="axial"))["plane"] == "axial"


def test_a_2d_network_keeps_every_slice():
    assert network_size(geometry(), TrainConfig(patch=(64, 48))) == (8, 64, 48)
    assert network_size(geometry(), TrainConfig(patch=(64, 48), grid=(3.0, 1.5))) == (8, 20, 30)


def test_a_3d_network_resamples_all_axes():
    config = TrainConfig(patch=(16, 16, 16), grid=(5.0, 3.0, 3.0))
    assert network_size(geometry(), config) == (16, 20, 15)
    assert typical_spacing([geometry()], config) == (5.0, 3.0, 3.0)


def test_typical_spacing_of_resized_images_is_the_median_over_cases():
    config = TrainConfig(patch=(20, 15))
    assert typical_spacing([geometry(), geometry(), geometry((80, 60, 8))], config) == (3.0, 3.0)


@given(st.tuples(*[st.integers(4, 20)] * 3), st.tuples(*[st.integers(4, 20)] * 3))
def test_a_constant_volume_stays_constant_at_any_size(size, to):
    out = resample(torch.full((2, *size), 3.0), to)
    assert out.shape == (2, *to)
    torch.testing.assert_close(out, torch.full((2, *to), 3.0))


@pytest.mark.parametrize("factor", [0.5, 2.0, 1.7])
def test_resampling_keeps_the_field_of_view(factor):
    size = (24, 24, 24)
    ramp = torch.stack(torch.meshgrid(*[(torch.arange(24) + 0.5) / 24] * 3, indexing="ij"))
    to = tuple(round(s * factor) for s in size)
    expected = torch.stack(torch.meshgrid(*[(torch.arange(t) + 0.5) / t for t in to], indexing="ij"))
    inner = (slice(None), *(slice(3, t - 3) for t in to))
    torch.testing.assert_close(resample(ramp, to)[inner], expected[inner], atol=0.01, rtol=0)


def test_nearest_resampling_makes_no_new_values():
    labels = torch.randint(0, 4, (1, 7, 11, 13)).float() * 5
    assert set(resample(labels, (9, 20, 6), nearest=True).unique().tolist()) <= set(labels.unique().tolist())


@given(st.tuples(*[st.integers(1, 12)] * 2), st.tuples(*[st.integers(1, 12)] * 2), st.integers(0, 999))
def test_no_stroke_is_lost_and_none_is_thickened(size, to, seed):
    codes = np.random.default_rng(seed).choice([0, 1, 7, IGNORE], (1, *size), p=[0.04, 0.04, 0.04, 0.88])
    codes = codes.astype(np.uint8)
    out, nearest = resample_labels(codes, (1, *to))[0], by_nearest(codes, (1, *to))[0]
    assert (out[nearest != IGNORE] == nearest[nearest != IGNORE]).all()
    lost = 0
    for code in (0, 1, 7):
        strokes, count = label(codes[0] == code, np.ones((3, 3)))
        sampled = by_nearest(strokes[None].astype(np.uint8), (1, *to))[0]
        for stroke in range(1, count + 1):
            cells = {
                tuple(cell) for cell in (((np.argwhere(strokes == stroke) + 0.5) * to) // size).astype(int).tolist()
            }
            there = [out[cell] for cell in cells] if (sampled != stroke).all() else [code]
            assert code in there or IGNORE not in there, "lost, where there was room"
            lost += bool((sampled != stroke).all())
    assert (out != nearest).sum() <= lost


def by_nearest(codes, to):
    return resample(torch.from_numpy(codes).float()[None], to, nearest=True)[0].numpy()


def test_where_all_is_annotated_labels_are_the_nearest():
    codes = np.random.default_rng(0).integers(0, 4, (7, 31, 29)).astype(np.uint8)
    for to in ((7, 12, 40), (3, 31, 29), (9, 20, 6)):
        assert (resample_labels(codes, to) == by_nearest(codes, to)).all()
    half = codes.copy()
    half[::2] = IGNORE
    assert (resample_labels(half, (7, 12, 40)) == by_nearest(half, (7, 12, 40))).all()


def test_a_stroke_that_nearest_misses_keeps_the_voxel_that_it_covers_most():
    codes = np.full((1, 16, 16), IGNORE, np.uint8)
    codes[0, 4, 3:7] = (
        3  # row 4 is in the second of four rows, whose voxels look at row 6; one column left, three right
    )
    out = resample_labels(codes, (1, 4, 4))
    assert out[0, 1, 1] == 3 and (out != IGNORE).sum() == 1
    codes[0, 6, 6] = 1  # the place is taken: the stroke keeps the next
    out = resample_labels(codes, (1, 4, 4))
    assert out[0, 1, 1] == 1 and out[0, 1, 0] == 3 and (out != IGNORE).sum() == 2


def test_of_slices_that_a_thicker_one_covers_an_annotated_one_is_shown():
    codes = np.full((12, 5, 5), IGNORE, np.uint8)
    codes[0], codes[5], codes[7] = 1, 2, 3
    out = resample_labels(codes, (4, 5, 5))  # three slices each, of which nearest shows the middle one
    assert [int(slice_[2, 2]) for slice_ in out] == [1, 2, 3, IGNORE]


def test_normalised_channels_have_zero_mean_and_unit_spread_each():
    rng = np.random.default_rng(0)
    image = np.stack([rng.normal(100, 20, (4, 9, 9)), rng.normal(-5, 300, (4, 9, 9))]).astype(np.int16)
    out = normalise(image, None)
    torch.testing.assert_close(out.mean((1, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std((1, 2, 3), correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_a_window_bounds_intensities_and_an_even_image_is_no_error():
    image = np.array([-2000, 0, 100, 3000], np.int16).reshape(1, 1, 2, 2)
    a = normalise(image, (-150.0, 250.0))
    b = normalise(image.clip(-150, 250), (-150.0, 250.0))
    assert torch.equal(a, b)
    assert torch.equal(normalise(np.full((1, 2, 2, 2), 7), None), torch.zeros(1, 2, 2, 2))
