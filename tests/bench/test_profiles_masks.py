"""The profiles on made-up masks: what can be worked out by hand, empty masks, crops and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from profiled import ALL, REFERENCE_CASE, TOLERANCES, block, scored

from bench import profile
from bench.matching import Match
from bench.score import Structures, score_volumes
from bench.surface import pair
from converters.volume import Volume


def test_a_shift_of_one_voxel_by_hand():
    # 4 x 4 x 4 voxels and the same one step along x, away from every edge: all distances are 0 or one step.
    found = scored(block((9, 9, 9), (2, 6), (2, 6), (2, 6)), block((9, 9, 9), (3, 7), (2, 6), (2, 6)), (2.0, 1.0, 1.0))
    assert found["chaos.dice"] == found["mrbrains18.dice"] == found["ssl4mis.dice"] == 0.75
    assert found["chaos.ravd_percent"] == found["mrbrains13.avd_percent"] == 0
    # 56 border voxels each; at one end 16 that the other lacks, and 4 behind its wall: 1 mm off, as y and z are finer.
    assert found["chaos.mssd_mm"] == found["pymic.hd95_mm"] == 2.0
    assert found["chaos.assd_mm"] == found["pymic.assd_mm"] == pytest.approx((16 * 2 + 4 * 1) / 56)
    assert found["chaos.dice_score"] == 0.0 and found["chaos.ravd_score"] == 100.0
    assert found["chaos.mssd_score"] == pytest.approx(100 - 5 / 3 * 2)
    assert found["pymic.dice"] == (2 * 48 + 1e-5) / (128 + 1e-5)
    assert found["medpy.hd95_mm"] == 2.0
    assert found["medpy.asd_prediction_to_reference_mm"] == pytest.approx((16 * 2 + 4 * 1) / 56)
    assert found["ssl4mis.hd95_voxels"] == 1.0
    assert found["ssl4mis.asd_prediction_to_reference_voxels"] == pytest.approx(20 / 56)
    # Slice by slice each block has 4 x 12 border voxels: 4 a slice are new, and 2 lie behind a wall one voxel thick.
    assert found["mrbrains13.hd95_mm"] == found["mrbrains18.hd95_mm"] == 2.0
    assert found["mrbrains18.volumetric_similarity"] == 1.0


@pytest.mark.parametrize(
    ("dice", "ravd", "assd", "mssd", "score"),
    [(0.8, 0, 0, 0, 95), (0.799, 0, 0, 0, 75), (1, 5, 0, 0, 75), (1, 5.01, 15.1, 60.1, 25), (1, 2.5, 7.5, 30, 62.5)],
)
def test_the_score_of_chaos_drops_to_zero_at_its_thresholds(monkeypatch, dice, ravd, assd, mssd, score):
    from bench.profiles import chaos

    values = {"dice": dice, "ravd_percent": ravd, "assd_mm": assd, "mssd_mm": mssd}
    monkeypatch.setattr(chaos, "_metrics", lambda _: values)
    masks = profile.cut(pair(*[block((4, 4, 4), (1, 3))] * 2, (1, 1, 1)), [1], "ok", TOLERANCES)
    assert chaos.values(masks)["chaos.score:v1"] == pytest.approx(score)


def test_the_percentiles_differ_by_their_rules():
    # Points on a line: 20 of the prediction, of which one lies 19 off and one 5 off.
    reference, prediction = block((60, 1, 1), (10, 28)), block((60, 1, 1), (10, 28))
    prediction[32] = prediction[46] = 1
    shape = (1, 60, 3)
    g, p = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    g[0, :, 1], p[0, :, 1] = reference[:, 0, 0], prediction[:, 0, 0]
    found = scored(g, p, (1.0, 1.0, 1.0))
    assert found["pymic.hd95_mm"] == 19.0  # index 19 of 20
    assert found["mrbrains13.hd95_mm"] == 5.0  # rank 19 of 20
    assert found["mrbrains18.hd95_mm"] == pytest.approx(5 + 0.05 * 14)  # between the two
    assert (
        found["medpy.hd95_mm"] == found["ssl4mis.hd95_voxels"] == pytest.approx(0.15 * 5)
    )  # 38 distances pooled, 36 of them 0


EMPTY = {
    "missed": {
        "chaos.dice": 0.0,
        "chaos.ravd_percent": 100.0,
        "chaos.assd_mm": 15.0,
        "chaos.mssd_mm": 15.0,
        "chaos.score": 0.0,
        "medpy.dice": 0.0,
        "medpy.hd95_mm": None,
        "mrbrains13.dice_percent": 0.0,
        "mrbrains13.hd95_mm": None,
        "mrbrains13.avd_percent": 100.0,
        "mrbrains18.dice": 0.0,
        "mrbrains18.hd95_mm": None,
        "mrbrains18.volumetric_similarity": 0.0,
        "pymic.hd95_mm": 100.0,
        "pymic.hd95_reported_mm": 50.0,
        "pymic.assd_mm": 20.0,
        "pymic.rve": 1.0,
        "ssl4mis.dice": 0.0,
        "ssl4mis.hd95_voxels": 0.0,  # their rule, and wrong
        "ssl4mis.asd_prediction_to_reference_voxels": None,
        "surface_distance.dice": 0.0,
        "surface_distance.hd95_mm": None,
        "surface_distance.assd_mm": None,
        "surface_distance.nsd@1mm": 0.0,
    },
    "false": {
        "chaos.dice": 0.0,
        "chaos.ravd_percent": None,
        "chaos.mssd_mm": 15.0,
        "chaos.score": 0.0,
        "medpy.dice": 0.0,
        "medpy.asd_prediction_to_reference_mm": None,
        "mrbrains13.avd_percent": None,
        "mrbrains18.volumetric_similarity": 0.0,
        "pymic.hd95_mm": 100.0,
        "pymic.rve": None,
        "ssl4mis.dice": 0.0,
        "ssl4mis.hd95_voxels": None,
        "surface_distance.nsd@2mm": 0.0,
    },
    "both_empty": {
        "chaos.dice": None,
        "chaos.score": None,
        "medpy.dice": 1.0,
        "medpy.hd95_mm": None,
        "mrbrains13.dice_percent": None,
        "mrbrains18.dice": None,
        "mrbrains18.volumetric_similarity": None,
        "pymic.dice": 1.0,
        "pymic.iou": 1.0,
        "pymic.hd95_mm": 0.0,
        "pymic.assd_mm": 0.0,
        "pymic.rve": None,
        "ssl4mis.dice": 0.0,
        "ssl4mis.hd95_voxels": 0.0,
        "surface_distance.dice": None,
        "surface_distance.nsd@1mm": None,
    },
}


@pytest.mark.parametrize("status", EMPTY)
def test_what_an_empty_mask_gives(status):
    organ, nothing = block((10, 10, 5), (2, 5), (2, 5), (1, 3)), np.zeros((10, 10, 5), np.uint8)
    spacing = (1.0, 1.0, 1.0)
    g, p = {"missed": (organ, nothing), "false": (nothing, organ), "both_empty": (nothing, nothing)}[status]
    found = scored(g, p, spacing)
    assert {name: found[name] for name in EMPTY[status]} == EMPTY[status]
    assert set(found) == {name.removesuffix(":v1") for name in REFERENCE_CASE}


@pytest.mark.parametrize("present", [True, False])
def test_no_usable_prediction_scores_worst_in_chaos_and_has_no_value_elsewhere(present):
    reference = Volume(block((10, 10, 5), (2, 5), (2, 5), (1, 3)) * present, np.eye(4))
    (score,) = score_volumes(
        Match("a", "a", None, None, None), reference, None, Structures({"organ": 1}, TOLERANCES, ALL), []
    )
    numbers = {name.removesuffix(":v1"): value for name, value in score.metrics.items() if "." in name}
    values = {name: value for name, value in numbers.items() if value is not None}
    assert score.status == "invalid" and {name.partition(".")[0] for name in values} == {"chaos"}
    assert (values["chaos.score"], values["chaos.dice"], values["chaos.ravd_percent"]) == (0.0, 0.0, 100.0)
    assert values["chaos.mssd_mm"] == 15.0


@st.composite
def two_masks(draw):
    shape = draw(hnp.array_shapes(min_dims=3, max_dims=3, min_side=2, max_side=6))
    masks = [draw(hnp.arrays(bool, shape)) for _ in range(2)]
    for mask in masks:
        mask[tuple(draw(st.integers(0, n - 1)) for n in shape)] = True
    return *masks, tuple(draw(st.sampled_from([0.5, 0.958, 1.0, 3.0])) for _ in shape)


@settings(max_examples=40)
@given(two_masks(), st.tuples(*[st.tuples(st.integers(0, 2), st.integers(1, 2))] * 3))
def test_an_image_that_goes_on_without_the_organ_changes_only_what_the_edge_of_the_image_means(case, margins):
    g, p, spacing = case
    # Once more within a margin, so that nothing touches the edge: then a further margin must not change a value.
    g, p = np.pad(g, 1), np.pad(p, 1)
    before, after = (scored(*masks, spacing) for masks in ((g, p), (np.pad(g, margins), np.pad(p, margins))))
    assert after == before


def test_the_edge_of_the_image_is_border_for_some_and_not_for_others():
    # The organ is cut by the edge at x = 0; the prediction ends one voxel early all round.
    g, p = block((12, 14, 14), (0, 8), (3, 11), (3, 11)), block((12, 14, 14), (0, 7), (4, 10), (4, 10))
    at_edge = scored(g, p, (1.0, 1.0, 1.0))
    inside = scored(*(np.pad(mask, ((1, 0), (0, 0), (0, 0))) for mask in (g, p)), (1.0, 1.0, 1.0))
    assert {name.partition(".")[0] for name in at_edge if at_edge[name] != inside[name]} == {"chaos"}
    assert at_edge["chaos.assd_mm"] > inside["chaos.assd_mm"]


def test_a_mask_that_fills_an_image_without_edge_has_no_border():
    full, organ = block((6, 6, 3)), block((6, 6, 3), (1, 5), (1, 5), (1, 2))
    found = scored(full, organ, (1.0, 1.0, 1.0))
    assert found["chaos.assd_mm"] == found["chaos.mssd_mm"] == 9.0  # the diagonal, as for an empty mask
    assert found["chaos.dice"] == found["mrbrains18.dice"] == 2 * 16 / (108 + 16)
    assert found["mrbrains18.hd95_mm"] is None and found["mrbrains13.hd95_mm"] is None
    assert found["pymic.hd95_mm"] > 0


@settings(max_examples=40)
@given(two_masks())
def test_a_crop_at_the_edge_of_the_image_is_exact(case):
    g, p, spacing = case
    # Grown on one side only: the other five ends of the box may lie on the edge of the image.
    wide = [np.pad(mask, ((0, 3), (0, 0), (0, 0))) for mask in (g, p)]
    found = pair(*(mask.astype(np.uint8) for mask in wide), spacing)
    masks = profile.cut(found, [1], "ok", TOLERANCES)
    whole = profile.Masks(*wide, spacing, ((True, True),) * 3, masks.diagonal_mm, "ok", TOLERANCES)
    cropped, uncropped = (
        {k: -1.0 if v is None else v for k, v in profile.evaluate(ALL, m).items()} for m in (masks, whole)
    )
    assert cropped == pytest.approx(uncropped, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_axis_of_length_one_is_no_axis(axis):
    rng = np.random.default_rng(3)
    g, p = (rng.random((2, 20, 24)) > 0.4).astype(np.uint8)
    flat = scored(g, p, (0.7, 1.3))
    spacing = list(np.insert([0.7, 1.3], axis, 5.0))
    stored = scored(*(np.expand_dims(mask, axis) for mask in (g, p)), spacing)
    assert stored == flat
    assert all(value is not None for value in flat.values())


def test_slices_are_those_of_the_largest_spacing():
    rng = np.random.default_rng(4)
    g, p = (rng.random((2, 8, 9, 7)) > 0.3).astype(np.uint8)
    turned = scored(*(np.moveaxis(mask, 2, 0) for mask in (g, p)), (3.0, 0.9, 1.0), ["mrbrains18"])
    assert turned == pytest.approx(scored(g, p, (0.9, 1.0, 3.0), ["mrbrains18"]), rel=1e-12)


def test_a_region_of_several_codes_is_one_structure():
    rng = np.random.default_rng(5)
    g, p = rng.integers(0, 4, (2, 8, 9, 7)).astype(np.uint8)
    found = pair(g, p, (1.0, 1.0, 2.0))
    region = profile.evaluate(ALL, profile.cut(found, [1, 3], "ok", TOLERANCES))
    united = scored(np.isin(g, [1, 3]), np.isin(p, [1, 3]), (1.0, 1.0, 2.0))
    assert {name.removesuffix(":v1"): value for name, value in region.items()} == united


def test_an_image_of_one_axis_stops_no_profile():
    line = np.array([0, 1, 1, 1, 0, 0], dtype=bool)
    values = scored(line, np.roll(line, 1), (2.0,))
    assert values["chaos.mssd_mm"] == 2.0
    assert {v for name, v in values.items() if name.startswith("surface_distance.")} == {None}
