import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench import boundary
from bench.distances import between, border, nearest

SPACINGS = st.sampled_from([0.5, 0.7265625, 0.958, 1.0, 1.40625, 3.0, 10.0])


def surface_distances(reference, prediction, spacing):
    return between(border(reference), border(prediction), spacing)


@st.composite
def two_masks(draw, side=6):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=side))
    masks = [draw(hnp.arrays(bool, shape)) for _ in range(2)]
    for mask in masks:
        mask[tuple(draw(st.integers(0, n - 1)) for n in shape)] = True
    return *masks, tuple(draw(SPACINGS) for _ in shape)


def border_voxels(mask):
    found = []
    for index in np.ndindex(*mask.shape):
        faces = [
            tuple(k + step * (axis == a) for a, k in enumerate(index)) for axis in range(mask.ndim) for step in (-1, 1)
        ]
        inside = [all(0 <= k < n for k, n in zip(face, mask.shape, strict=True)) and mask[face] for face in faces]
        if mask[index] and not all(inside):
            found.append(index)
    return found


def brute_force(points, others, spacing):
    gaps = (
        sum(((a - b) * s) ** 2 for a, b, s in zip(p, q, spacing, strict=True))
        for p, q in itertools.product(points, others)
    )
    return sorted(np.sqrt(np.fromiter(gaps, float).reshape(len(points), -1).min(axis=1)))


@given(two_masks())
@settings(max_examples=150, deadline=None)
def test_distances_are_those_of_brute_force(case):
    reference, prediction, spacing = case
    found = surface_distances(reference, prediction, spacing)
    g, p = border_voxels(reference), border_voxels(prediction)
    np.testing.assert_allclose(found[0], brute_force(g, p, spacing), rtol=1e-14, atol=0)
    np.testing.assert_allclose(found[1], brute_force(p, g, spacing), rtol=1e-14, atol=0)


@given(two_masks())
@settings(max_examples=100, deadline=None)
def test_a_border_voxel_has_a_face_neighbour_outside(case):
    mask = case[0]
    assert list(map(tuple, np.argwhere(border(mask)))) == border_voxels(mask)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7265625, 0.7265625, 2.0), (1.4, 1.4, 10.0), (0.01, 5.0, 0.2)])
def test_masks_out_of_reach_of_the_walk_are_measured_by_the_tree(spacing):
    reference, prediction = np.zeros((2, 40, 40, 24), bool)
    reference[2:6, 3:7, 2:5] = True
    reference[33:36, 31:36, 17:20] = True
    prediction[3:7, 3:7, 2:5] = True
    prediction[34, 1, 20] = True
    found = surface_distances(reference, prediction, spacing)
    g, p = border_voxels(reference), border_voxels(prediction)
    np.testing.assert_allclose(found[0], brute_force(g, p, spacing), rtol=1e-14, atol=0)
    np.testing.assert_allclose(found[1], brute_force(p, g, spacing), rtol=1e-14, atol=0)
    assert found[0].max() > 20 * min(spacing)


@given(two_masks(side=8))
@settings(max_examples=50, deadline=None)
def test_distances_do_not_change_with_the_memory_layout(case):
    reference, prediction, spacing = case
    rows = surface_distances(reference, prediction, spacing)
    columns = surface_distances(np.asfortranarray(reference), prediction[::-1][::-1], spacing)
    borders = border(reference), border(prediction)
    turned = between(*map(np.asfortranarray, borders), spacing)
    for a, b, c in zip(rows, columns, turned, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    unsorted = nearest(*borders, spacing)
    np.testing.assert_array_equal(unsorted, nearest(*map(np.asfortranarray, borders), spacing))
    np.testing.assert_array_equal(np.sort(unsorted), rows[0])


@given(two_masks())
@settings(max_examples=50, deadline=None)
def test_the_largest_distance_is_that_of_simple_itk(case):
    sitk = pytest.importorskip("SimpleITK")
    *masks, spacing = case
    found = surface_distances(*masks, spacing)
    outlines = []
    for mask in masks:
        # Padded, because there the edge of the volume is no outline.
        image = sitk.GetImageFromArray(np.pad(mask, 1).astype(np.uint8))
        image.SetSpacing(spacing[::-1])
        outlines.append(sitk.LabelContour(image, fullyConnected=False))
    oracle = sitk.HausdorffDistanceImageFilter()
    oracle.Execute(*outlines)
    assert max(found[0][-1], found[1][-1]) == pytest.approx(oracle.GetHausdorffDistance(), rel=1e-5)


@pytest.mark.parametrize("shape", [(40, 30), (14, 9, 11)])
def test_the_rim_of_tiny_voxels_is_the_same_by_a_distance_transform(monkeypatch, shape):
    mask = np.random.default_rng(0).random(shape) < 0.97
    spacing, outline = (0.25, 0.25, 0.5)[: len(shape)], border(mask)
    for depth in (0.25, 0.3, 0.5 + 1e-6):
        monkeypatch.setattr(boundary, "OFFSETS", 10**9)
        stamped = boundary.rim(mask, outline, spacing, depth)
        monkeypatch.setattr(boundary, "OFFSETS", 0)
        assert np.array_equal(boundary.rim(mask, outline, spacing, depth), stamped)
        assert stamped.sum() > outline.sum()
