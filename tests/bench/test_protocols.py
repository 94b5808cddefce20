import subprocess
import sys

import msgspec
import pytest

from bench import protocols
from converters.errors import UsageError


@pytest.mark.parametrize(
    ("name", "percent", "annotator", "ratio"),
    [
        ("full", 100, "dense", 100),
        ("semi10", 10, "dense", 100),
        ("semi1", 1, "dense", 100),
        ("semi100", 100, "dense", 100),
        ("scribble", 100, "expert-else-scribble", 100),
        ("noisy50", 100, "boundary", 50),
        ("noisy95", 100, "boundary", 95),
    ],
)
def test_a_name_says_how_many_are_labelled_and_by_whom(name, percent, annotator, ratio):
    protocol = protocols.parse(name)
    assert (protocol.name, protocol.percent, protocol.annotator, protocol.ratio_percent) == (
        name,
        percent,
        annotator,
        ratio,
    )


def test_noisy_is_noisy50_and_leading_zeros_do_not_count():
    assert protocols.parse("noisy") == protocols.parse("noisy50")
    assert protocols.parse("semi05") == protocols.parse("semi5")


def test_every_protocol_of_the_table_is_found_by_its_name():
    for protocol in protocols.PROTOCOLS:
        assert protocols.parse(protocol.name) == protocol


@pytest.mark.parametrize("name", ["semi0", "semi101", "noisy0", "noisy999"])
def test_a_share_outside_one_to_a_hundred_is_refused(name):
    with pytest.raises(UsageError, match=r"% is not possible"):
        protocols.parse(name)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("ful", "full"), ("scribbles", "scribble"), ("semi", "semi10"), ("nosy", "noisy"), ("full5", "full")],
)
def test_a_wrong_name_gets_the_nearest(typed, meant):
    with pytest.raises(UsageError, match=f"Did you mean '{meant}'"):
        protocols.parse(typed)


@pytest.mark.parametrize("name", ["", "semi-5", "semi1.5", "semi10 ", "SEMI10", "noisy٣"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UsageError, match="no protocol"):
        protocols.parse(name)


def test_who_draws_the_scribbles_may_be_fixed():
    assert protocols.parse("scribble", annotator="expert").annotator == "expert"
    assert protocols.parse("scribble", annotator="scribble").annotator == "scribble"
    assert protocols.parse("full", annotator="dense") == protocols.parse("full")
    with pytest.raises(UsageError, match="'semi10' has no annotator 'expert'"):
        protocols.parse("semi10", annotator="expert")
    with pytest.raises(UsageError, match="has no annotator 'nobody'"):
        protocols.parse("scribble", annotator="nobody")


def test_a_protocol_survives_json():
    for protocol in protocols.PROTOCOLS:
        assert msgspec.json.decode(msgspec.json.encode(protocol), type=protocols.Protocol) == protocol


def test_the_table_and_the_splits_are_light_to_import():
    code = (
        "import bench.protocols, bench.splits, sys; print(*{'numpy', 'scipy', 'torch', 'nibabel'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
