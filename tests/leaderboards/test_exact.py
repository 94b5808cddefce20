"""Sums over columns of an array against the standard library, to the last bit."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from leaderboards import exact

NUMBERS = st.floats(-1e200, 1e200) | st.sampled_from([0.1, -0.0, 1.0, -1.0, 2.0**-53, 2.0**53, 1e16, 1e-300])
ABSENT = st.just(math.nan)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 3))


def columns(values):
    return [[value for value in column if not math.isnan(value)] for column in values.T.tolist()]


def same(found, expected):
    """Whether they are the same bits; None stands for NaN."""
    assert np.array(found).tobytes() == np.array(expected, float).tobytes()


@given(arrays(float, SHAPES, elements=NUMBERS))
@example(np.array([[1.0], [2.0**-53], [2.0**-106]]))
@example(np.array([[1e16], [1.0], [-1e16], [1e-300]]))
def test_a_total_is_that_of_fsum(values):
    same(exact.total(values), [math.fsum(column) for column in columns(values)])


@given(arrays(float, SHAPES, elements=NUMBERS | ABSENT))
def test_a_mean_is_that_of_fmean_over_what_is_there(values):
    found = exact.mean(values).tolist()
    for mean, column in zip(found, columns(values), strict=True):
        assert math.isnan(mean) if not column else same(mean, statistics.fmean(column)) is None


def test_shares_add_up_to_what_fsum_gives_without_asking_it(monkeypatch):
    values = np.random.default_rng(0).random((200, 50))
    expected = [math.fsum(column) for column in values.T]
    monkeypatch.setattr(exact.math, "fsum", None)
    same(exact.total(values), expected)


def test_what_no_float_can_hold_is_an_error():
    with pytest.raises(OverflowError):
        exact.total(np.full((2, 1), 1e308))


@given(arrays(float, SHAPES, elements=st.floats(-1e6, 1e6) | ABSENT))
def test_quartiles_are_those_of_the_standard_library(values):
    found = exact.quartiles(values).T.tolist()
    for three, column in zip(found, columns(values), strict=True):
        if not column:
            assert all(map(math.isnan, three))
        else:
            assert three == (column * 3 if len(column) == 1 else statistics.quantiles(column, n=4, method="inclusive"))


@given(st.lists(st.floats(0, 1) | st.floats(-1e200, 1e200), min_size=2, max_size=6))
def test_a_spread_is_that_of_the_standard_library(values):
    assert exact.spread(values) == statistics.stdev(values)
