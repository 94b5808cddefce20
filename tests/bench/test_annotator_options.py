"""Options of annotators: every number that is taken draws a label map, and every other is refused with its range."""

import math
import warnings

import numpy as np
import pytest
from test_simulators import NOISE, drawn, odd
from tiny import SPACING, heart

from bench import protocols
from bench.annotator_options import OPTIONS, RANGES
from converters.errors import UsageError

PROTOCOL = {"clicks": "clicks1", "box": "boxes", "slices": "slices5", "classes": "classes1"}
EACH = [(name, key) for name in RANGES for key in RANGES[name]]


def parse(name, typed):
    protocol = "noisy50" if name in NOISE else PROTOCOL.get(name, "scribble")
    return protocols.parse(protocol, annotator=f"{name}:{typed}")


def ends(name, key):
    """The options with one at the lowest, and at the highest, that it may be beside what the others are."""
    option = RANGES[name][key]
    for end in (option.lowest, option.highest if math.isfinite(option.highest) else 1e6):
        options = OPTIONS[name] | {key: end}
        stem, _, side = key.rpartition("_")
        if side in ("low", "high"):
            other = f"{stem}_{'high' if side == 'low' else 'low'}"
            options[other] = max(end, options[other]) if side == "low" else min(end, options[other])
        if name == "boundary" and key in ("dilate", "erode"):
            options["erode" if key == "dilate" else "dilate"] = 0.0
        if name == "affine" and key in ("severity", "scale_low", "scale_high"):
            options |= {"scale_low": 0.91} if key == "severity" else {"severity": 1.0}
        yield options


@pytest.mark.parametrize("name", RANGES)
def test_every_default_is_in_its_range_and_they_go_together(name):
    assert all(option.takes(option.default) for option in RANGES[name].values())
    typed = ",".join(f"{key}={value:g}" for key, value in OPTIONS[name].items())
    assert parse(name, typed).options == OPTIONS[name] and parse(name, typed).said == ""


@pytest.mark.parametrize(("name", "key"), EACH)
def test_the_ends_of_a_range_are_taken_and_draw_without_a_warning(name, key):
    for options in ends(name, key):
        assert parse(name, ",".join(f"{one}={value!r}" for one, value in options.items())).options == options
        for label in (heart("a", (32, 28, 3)), odd()):
            with warnings.catch_warnings(), np.errstate(all="raise"):
                warnings.simplefilter("error")
                shown = drawn(name, label, 1, SPACING, **options)
            assert shown.shape == label.shape and shown.dtype == np.uint8
            assert name in NOISE or (shown != 255).any()


@pytest.mark.parametrize(("name", "key"), EACH)
def test_what_is_outside_its_range_is_refused_with_the_range_and_a_number_that_would_do(name, key):
    option = RANGES[name][key]
    outside = [option.lowest - 1, math.nan, math.inf]
    outside += [option.highest + 1] if math.isfinite(option.highest) else []
    outside += [option.lowest + 0.5] if option.whole else []
    for value in outside:
        with pytest.raises(UsageError) as refused:
            parse(name, f"{key}={value}")
        assert refused.value.what == f"--annotator {name}: {key}={value} is not possible; it is {option.range}"
        assert f"--annotator {name}:{key}={option.default:g}" in refused.value.mend
        assert parse(name, f"{key}={option.default:g}").options == OPTIONS[name]


@pytest.mark.parametrize(
    ("name", "typed", "what", "mend"),
    [
        ("jsrt", "radius_low=12,radius_high=6", "radius_low=12 is above radius_high=6", "from 0 to 6, or a larger"),
        ("jsrt", "radius_high=5", "radius_low=6 is above radius_high=5", "from 0 to 5"),
        ("affine", "scale_low=1.2", "scale_low=1.2 is above scale_high=1.1", "from 0.1 to 1.1"),
        ("affine", "severity=10", "scale_low=0.9 with severity=10 leaves next to nothing", "scale_low from 0.91,"),
        ("boundary", "dilate=0.7", "dilate=0.7 and erode=0.35 are 1.05 together", "at most 1 together"),
        ("slices", "n=0", "n=0 is not possible; it is a whole number from 2", "slices:n=5, the default"),
        ("erode", "trusted=2", "trusted=2 is not possible; it is a whole number from 0 to 1", "trusted=0"),
        ("erode", "severity", "severity= is not possible; it is a number from 0 to 10", "severity=1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(name, typed, what, mend):
    with pytest.raises(UsageError) as refused:
        parse(name, typed)
    assert what in refused.value.what and mend in refused.value.mend


@pytest.mark.parametrize("severity", [1.5, 3, 7, 10])
def test_the_scale_that_is_advised_is_taken(severity):
    with pytest.raises(UsageError) as refused:
        parse("affine", f"scale_low=0.1,severity={severity}")
    least = refused.value.mend.split()[3].rstrip(",")
    assert parse("affine", f"scale_low={least},severity={severity}").options["scale_low"] == float(least)
