import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.walk import longest_walk


def walk(line, seed=0):
    return longest_walk(np.array(line, bool), np.random.default_rng(seed))


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_a_walk_stays_on_the_line_goes_step_by_step_and_never_returns(shape, seed):
    line = np.random.default_rng(shape).random((12, 9)) < 0.4
    path = walk(line, seed)
    assert len(set(path)) == len(path)
    assert all(line[pixel] for pixel in path)
    assert all(max(abs(a - c), abs(b - d)) == 1 for (a, b), (c, d) in itertools.pairwise(path))


@pytest.mark.parametrize("seed", range(5))
def test_a_line_is_walked_from_end_to_end_and_a_ring_all_round(seed):
    line = np.zeros((9, 9), bool)
    line[4] = True
    assert len(walk(line, seed)) == 9
    ring = np.zeros((9, 9), bool)
    ring[[2, 6], 3:6] = ring[3:6, [2, 6]] = True
    assert len(walk(ring, seed)) == ring.sum()


def test_where_nothing_is_set_nothing_is_walked():
    assert walk(np.zeros((4, 4))) == []
