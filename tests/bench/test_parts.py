import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from bench.boundary import rims
from bench.distances import border
from bench.lesions import lesions


@st.composite
def two_masks(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=6))
    density = draw(st.sampled_from([0.15, 0.5, 0.8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return rng.random(shape) < density, rng.random(shape) < density


def near(mask, border, spacing, depth):
    """Voxels of the mask, each compared with each of its border."""
    outline = np.argwhere(border)
    return {
        tuple(voxel)
        for voxel in np.argwhere(mask).tolist()
        if any(
            sum(((a - b) * s) ** 2 for a, b, s in zip(voxel, at, spacing, strict=True)) <= depth**2 for at in outline
        )
    }


@given(two_masks(), st.sampled_from([0.1, 0.95, 1.3, 2.01, 3.2, 50.0]), st.data())
@settings(max_examples=150, deadline=None)
def test_rims_are_those_of_brute_force(masks, depth, data):
    spacing = [data.draw(st.sampled_from([0.5, 0.958, 1.25, 4.0])) for _ in masks[0].shape]
    borders = border(masks[0]), border(masks[1])
    g, p = (near(mask, edge, spacing, depth) for mask, edge in zip(masks, borders, strict=True))
    assert rims(masks, borders, spacing, depth) == (len(g), len(p), len(g & p))


def test_a_rim_is_cut_from_a_solid_and_two_shells_of_unlike_depth_share_little():
    large, small = np.zeros((2, 20, 20), bool)
    large[2:18, 2:18] = small[6:14, 6:14] = True
    borders = border(large), border(small)
    assert rims((large, small), borders, (1.0, 1.0), 1.0) == (16**2 - 12**2, 8**2 - 4**2, 0)
    assert rims((large, small), borders, (1.0, 1.0), 3.0) == (16**2 - 8**2, 8**2, 0)
    assert rims((large, small), borders, (1.0, 1.0), 4.0) == (16**2 - 6**2, 8**2, 8**2 - 6**2)
    # Half as wide along one axis: the rim is twice as many voxels there.
    assert rims((large, small), borders, (1.0, 0.5), 1.0)[0] == 16**2 - 12 * 10


@pytest.mark.parametrize("shape", [(60, 50, 40), (400, 300)])
@pytest.mark.parametrize("seed", range(3))
def test_lesions_of_larger_maps_are_those_of_scipy(shape, seed):
    rng = np.random.default_rng(seed)
    g, p = (ndimage.gaussian_filter(rng.standard_normal(shape), 1) > 0.3 for _ in range(2))
    corners = np.ones((3,) * len(shape))
    (parts_g, count_g), (parts_p, count_p) = (ndimage.label(mask, corners) for mask in (g, p))
    touched = len(np.unique(parts_g[g & p])), len(np.unique(parts_p[g & p]))
    assert lesions(g, p) == (count_g, count_p, *touched)
    assert count_g > 20 and touched[0] < count_g


def test_one_prediction_may_detect_several_lesions_and_a_corner_joins_two():
    reference, prediction = np.zeros((2, 6, 9), bool)
    reference[1, 1] = reference[1, 4] = reference[2, 5] = True  # two: the last meet at a corner
    reference[5, 0] = True
    prediction[1, 1:5] = True
    prediction[5, 8] = True
    assert lesions(reference, prediction) == (3, 2, 2, 1)
