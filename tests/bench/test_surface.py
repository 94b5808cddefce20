import numpy as np
import pytest

from bench.surface import measure, pair
from converters.errors import BenchError

ONES = (1.0, 1.0, 1.0)


def cube(shape, start, stop, code=1):
    found = np.zeros(shape, np.uint8)
    found[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = code
    return found


def test_counts_come_from_one_histogram_over_the_whole_grid():
    rng = np.random.default_rng(1)
    reference, prediction = rng.integers(0, 4, (2, 9, 8, 7), dtype=np.uint8)
    both = pair(reference, prediction, ONES)
    assert both.counts.sum() == reference.size
    for g in range(4):
        for p in range(4):
            assert both.counts[g, p] == ((reference == g) & (prediction == p)).sum()
    measured = measure(both, [2])
    assert measured.tp == ((reference == 2) & (prediction == 2)).sum()
    assert measured.fp == ((reference != 2) & (prediction == 2)).sum()
    assert measured.fn == ((reference == 2) & (prediction != 2)).sum()


def test_what_nobody_annotated_is_background_in_both():
    reference, prediction = cube((8, 8, 8), (2, 2, 2), (6, 6, 6)), cube((8, 8, 8), (2, 2, 2), (6, 6, 8))
    reference[..., 6:] = 255
    both = pair(reference, prediction, ONES)
    measured = measure(both, [1])
    assert both.ignored == measured.ignored == 128
    assert both.reference_codes == both.prediction_codes == (1,)
    assert (measured.tp, measured.fp, measured.fn) == (64, 0, 0)
    assert measured.distances_prediction.max() == 0.0


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("end", [0, -1])
@pytest.mark.parametrize("who", ["reference", "prediction"])
def test_a_structure_on_the_edge_of_the_volume_is_flagged(axis, end, who):
    maps = {"reference": cube((7, 6, 5), (2, 2, 2), (4, 4, 4)), "prediction": cube((7, 6, 5), (2, 2, 2), (4, 4, 4))}
    assert not measure(pair(**maps, spacing=ONES), [1]).touches_border
    index = [3, 3, 3]
    index[axis] = end
    maps[who][tuple(index)] = 1
    assert measure(pair(**maps, spacing=ONES), [1]).touches_border


def test_the_only_slice_of_a_2d_image_is_no_edge():
    flat = cube((7, 6, 1), (2, 2, 0), (4, 4, 1))
    assert not measure(pair(flat, flat, ONES), [1]).touches_border


def test_a_single_voxel_volume_can_be_measured():
    one = np.ones((1, 1, 1), np.uint8)
    measured = measure(pair(one, one, (2.0, 1.0, 1.0)), [1])
    assert (measured.status, measured.diagonal_mm) == ("ok", 2.0)
    np.testing.assert_array_equal(measured.distances_reference, [0.0])


def test_overlapping_regions_share_voxels():
    # 1 only the lung, 2 only the heart, 3 where they overlap.
    reference, prediction = cube((8, 8, 1), (1, 1, 0), (4, 4, 1)), cube((8, 8, 1), (1, 1, 0), (4, 4, 1))
    reference[3, 3] = prediction[3, 3] = 3
    reference[4:6, 4:6] = prediction[4:6, 4:6] = 2
    both = pair(reference, prediction, ONES)
    lung, heart = measure(both, (1, 3)), measure(both, (2, 3))
    assert (lung.tp, heart.tp) == (9, 5)
    assert lung.distances_reference.max() == heart.distances_reference.max() == 0.0


def test_other_types_of_whole_numbers_are_read_and_fractions_are_refused():
    reference = cube((5, 5, 5), (1, 1, 1), (3, 3, 3))
    expected = measure(pair(reference, reference, ONES), [1]).tp
    assert measure(pair(reference.astype(np.float32), reference.astype(bool), ONES), [1]).tp == expected == 8
    with pytest.raises(BenchError, match="no integers"):
        pair(reference, reference * 0.5, ONES)
    with pytest.raises(BenchError, match="no integers"):
        pair(reference, reference.astype(np.int16) - 1, ONES)


def test_two_shapes_are_refused():
    with pytest.raises(BenchError, match="differ"):
        pair(np.zeros((3, 3, 3), np.uint8), np.zeros((3, 3, 4), np.uint8), ONES)
