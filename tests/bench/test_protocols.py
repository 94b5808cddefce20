import subprocess
import sys

import msgspec
import pytest

from bench import protocols
from bench.annotator_options import OPTIONS
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
        ("scribble8", 100, "expert-else-scribble", 100),
        ("clicks3", 100, "clicks", 100),
        ("boxes", 100, "box", 100),
        ("slices4", 100, "slices", 100),
        ("classes2", 100, "classes", 100),
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


def test_a_number_in_a_name_is_kept_where_it_belongs():
    assert protocols.parse("scribble8").strokes == 8
    assert protocols.parse("clicks3").options == OPTIONS["clicks"] | {"k": 3.0}
    assert protocols.parse("slices4").options["n"] == 4
    assert protocols.parse("classes2").options["count"] == 2
    assert protocols.parse("clicks1") == protocols.parse("clicks01")


@pytest.mark.parametrize("name", ["scribble1", "scribble3", "scribble32", "clicks0", "slices1", "classes0"])
def test_a_number_that_means_nothing_is_refused(name):
    with pytest.raises(UsageError, match="is not possible"):
        protocols.parse(name)


def test_generators_are_seeded_so_that_less_is_part_of_more():
    seeds = {name: protocols.parse(name).seed for name in ("scribble", "scribble4", "clicks1", "clicks2", "noisy25")}
    assert seeds["scribble"] == seeds["scribble4"] == "scribble/v1" and seeds["clicks1"] == seeds["clicks2"]
    assert seeds["noisy25"] == "noisy25/v1" != protocols.parse("noisy50").seed


def test_kind_and_severity_of_noise_are_chosen_after_the_annotator():
    plain = protocols.parse("noisy25", annotator="erode")
    assert (plain.name, plain.ratio_percent, plain.annotator, plain.said) == ("noisy25", 25, "erode", "")
    hard = protocols.parse("noisy25", annotator="erode:severity=0.5,radius_high=6")
    assert hard.options == OPTIONS["erode"] | {"severity": 0.5, "radius_high": 6.0}
    assert hard.said == "radius_high=6, severity=0.5"
    assert protocols.parse("noisy25", annotator="erode:severity=1") == plain
    trusted = protocols.parse("noisy50", annotator="jsrt:trusted=1")
    assert trusted.trusted and trusted.options == OPTIONS["jsrt"]
    assert protocols.parse("scribble4", annotator="curve").options == OPTIONS["curve"]
    assert protocols.parse("slices4", annotator="slices:n=4") == protocols.parse("slices4")


@pytest.mark.parametrize(
    ("name", "annotator", "said"),
    [
        ("noisy50", "erode:sevrity=1", "Did you mean 'severity'"),
        ("noisy50", "erode:severity", "severity= is not possible"),
        ("noisy50", "erode:severity=-1", "it is a number from 0 to 10"),
        ("noisy50", "erode:severity=nan", "it is a number from 0 to 10"),
        ("scribble", "curve:trusted=1", "no option of annotator curve 'trusted'"),
        ("scribble", "erode", "has no annotator 'erode'"),
        ("clicks1", "box", "has no annotator 'box'"),
        ("scribble", "expert:band_mm=3", "no option of annotator expert"),
    ],
)
def test_options_that_nobody_has_are_refused(name, annotator, said):
    with pytest.raises(UsageError, match=said):
        protocols.parse(name, annotator=annotator)


def test_a_protocol_survives_json():
    for protocol in protocols.PROTOCOLS:
        assert msgspec.json.decode(msgspec.json.encode(protocol), type=protocols.Protocol) == protocol


def test_the_table_and_the_splits_are_light_to_import():
    code = (
        "import bench.protocols, bench.splits, sys; print(*{'numpy', 'scipy', 'torch', 'nibabel'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
