"""Canonical JSON: what has no JSON form is refused wherever it stands, what only looks like it is not."""

import json
import math
import struct
import sys

import numpy as np
import pytest

from converters.files import canonical_json

NO_NUMBERS = [math.nan, -math.nan, math.inf, -math.inf, struct.unpack(">d", b"\x7f\xf0\x00\x00\x00\x00\x00\x01")[0]]


@pytest.mark.parametrize("number", NO_NUMBERS, ids=["nan", "-nan", "inf", "-inf", "signalling"])
@pytest.mark.parametrize("place", [lambda x: x, lambda x: {"a": [1.0, {"b": x}]}, lambda x: {1: (x,)}])
def test_no_number_is_refused_wherever_it_stands(place, number):
    with pytest.raises(ValueError, match="no JSON form"):
        canonical_json(place(number))


def test_numbers_and_text_of_the_same_bytes_are_written():
    numbers = np.random.default_rng(0).integers(0, 256, (20_000, 8), np.uint8).view(">f8").ravel()
    values = {
        "numbers": [float(value) for value in numbers if np.isfinite(value)],
        "largest": [sys.float_info.max, -sys.float_info.max],
        "text": "\u02ff\u00f0\u07ff",
    }
    assert json.loads(canonical_json(values)) == values
