"""Overlapping structures as codes: nothing is lost, and no order changes a code."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.errors import BenchError
from converters.regions import Regions

NAMES = ("heart", "left", "right")
CERTAIN = (("left", "heart"),)


def drawn(patterns: list[int]) -> dict[str, np.ndarray]:
    """Masks of a column of places, each with the structures whose bits its number has."""
    column = np.array(patterns, np.uint8).reshape(-1, 1)
    return {name: (column >> bit & 1).astype(bool) for bit, name in enumerate(NAMES)}


@given(st.lists(st.integers(0, 7), min_size=1, max_size=40))
def test_masks_come_back_from_codes(patterns: list[int]) -> None:
    masks = drawn(patterns)
    regions = Regions.of(NAMES, CERTAIN, Regions(NAMES).present(masks))
    codes = regions.encode(masks)
    assert all(np.array_equal(mask, masks[name]) for name, mask in regions.decode(codes).items())
    for name, value in regions.labels.items():
        if name != "background":
            assert np.array_equal(np.isin(codes, value), masks[name])


@given(st.lists(st.integers(1, 7), min_size=1, max_size=20))
def test_as_many_codes_as_combinations_without_a_gap(patterns: list[int]) -> None:
    regions = Regions.of(NAMES, CERTAIN, Regions(NAMES).present(drawn(patterns)))
    codes = {c for value in regions.labels.values() for c in (value if isinstance(value, tuple) else (value,))}
    further = {p for p in patterns if p in (5, 6, 7)}  # 3 is heart and left, which is certain
    assert codes == set(range(5 + len(further)))


def test_the_order_in_which_overlaps_are_found_changes_no_code() -> None:
    found = [("right", "left"), ("heart", "right"), ("heart", "left"), ("right", "heart", "left")]
    codings = {Regions.of(NAMES, CERTAIN, order) for order in itertools.permutations(found)}
    assert len(codings) == 1
    assert codings.pop().overlaps == (
        ("heart", "left"),
        ("heart", "right"),
        ("left", "right"),
        ("heart", "left", "right"),
    )


def test_a_structure_names_its_own_code_first_and_is_a_plain_code_where_nothing_overlaps() -> None:
    assert Regions.of(NAMES, CERTAIN, ()).labels == {"background": 0, "heart": (1, 4), "left": (2, 4), "right": 3}


def test_an_overlap_without_a_code_is_refused_and_counted() -> None:
    with pytest.raises(BenchError, match="left and right overlap in 2 pixels, and this overlap has no code"):
        Regions.of(NAMES, CERTAIN, ()).encode(drawn([1, 6, 6, 0]))
