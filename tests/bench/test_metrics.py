import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench import metrics
from bench.surface import measure, pair
from converters.volume import Volume, read_label
from leaderboards.summary import family, short

TAUS = (1.0, 2.0)
# Section "The reference case" of docs/metrics.md; the numbers were computed by other code, checked against ten peers.
EXPECTED = {
    "dice:v1": 0.9784341478506637,
    "iou:v1": 0.957778831185552,
    "hd:c6-bg-max:v1": 14.0,
    "hd95:c6-bg-max:v1": 3.6328125,
    "assd:c6-bg-pooled:v1": 0.7129284626973728,
    "masd:c6-bg-mean:v1": 0.7114103199015365,
    "nsd@1mm:c6-bg-pooled:v1": 0.7731549675261704,
    "nsd@2mm:c6-bg-pooled:v1": 0.9322741116219092,
    "ravd:v1": 0.6645339808356205,
    "rvd:v1": -0.6645339808356205,
    "precision:v1": 0.9817069101646355,
    "sensitivity:v1": 0.9751831341543802,
    "boundary_iou@1mm:c6-bg:v1": 0.479356877554597,
    "boundary_iou@2mm:c6-bg:v1": 0.6278910919267622,
    "volume_error_ml:v1": -9.419723876953125,
    "lesions_reference:c26:v1": 1,
    "lesion_f1:c26:v1": 1,
}
OVERLAPS = ("dice:v1", "iou:v1", "nsd@1mm:c6-bg-pooled:v1", "nsd@2mm:c6-bg-pooled:v1")
SHARES = ("boundary_iou@1mm:c6-bg:v1", "boundary_iou@2mm:c6-bg:v1", "lesion_f1:c26:v1")
FURTHER = (
    *("precision:v1", "sensitivity:v1", *SHARES),
    *(f"lesions_{which}:c26:v1" for which in ("reference", "prediction", "detected", "false")),
    *("lesion_sensitivity:c26:v1", "lesion_precision:c26:v1"),
)
DISTANCES = ("hd:c6-bg-max:v1", "hd95:c6-bg-max:v1", "assd:c6-bg-pooled:v1", "masd:c6-bg-mean:v1")


def values(reference, prediction, spacing, codes=(1,), taus=TAUS):
    return metrics.evaluate(measure(pair(reference, prediction, spacing), codes), taus)


def blobs(shape=(14, 12, 9), seed=0):
    """Two overlapping ellipsoids, one with a hole, in codes 1 and 2."""
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    maps = []
    for _ in range(2):
        centre, radii = np.array(shape) / 2 + rng.uniform(-1, 1, len(shape)), np.array(shape) * rng.uniform(0.2, 0.35)
        reach = (((grid - centre) / radii) ** 2).sum(-1)
        maps.append(((reach < 1).astype(np.uint8) + (reach < 0.3)).astype(np.uint8))
    return maps


def assert_same(a, b, *, factor=None, rel=1e-12):
    for name, value in a.items():
        times = (factor or {}).get(family(name), 1.0)
        assert b[name] == (None if value is None else pytest.approx(value * times, rel=rel, abs=1e-13)), name


@pytest.fixture(scope="module")
def liver(shared_data):
    """A real liver (CHAOS CT) and a prediction of it."""
    return [read_label(shared_data / "score_case" / f"{name}.nii.gz") for name in ("gt", "seg")]


def test_the_reference_case_has_every_number_of_the_definition(liver):
    reference, prediction = liver
    assert reference.spacing == (0.7265625, 0.7265625, 2.0)
    measured = measure(pair(reference.array, prediction.array, reference.spacing), [1])
    assert (measured.tp + measured.fn, measured.tp + measured.fp) == (1342595, 1333673)
    assert measured.touches_border
    assert measured.diagonal_mm == pytest.approx(np.hypot(np.sqrt(2) * 512 * 0.7265625, 156), rel=1e-14)
    found = metrics.evaluate(measured, TAUS)
    for name, value in EXPECTED.items():
        assert found[name] == pytest.approx(value, abs=1e-9, rel=0), name


def test_the_reference_case_does_not_change_when_padded_or_turned(liver):
    reference, prediction = (volume.array for volume in liver)
    spacing = liver[0].spacing
    before = values(reference, prediction, spacing)
    padded = [np.pad(a, ((3, 0), (0, 5), (1, 2))) for a in (reference, prediction)]
    assert values(*padded, spacing) == before
    turned = [a.transpose(2, 0, 1)[::-1] for a in (reference, prediction)]
    assert_same(before, values(*turned, (spacing[2], spacing[0], spacing[1])))


@st.composite
def label_maps(draw):
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=6))
    maps = [draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2))) for _ in range(2)]
    return *maps, tuple(draw(st.sampled_from([0.5, 0.958, 1.25, 4.0])) for _ in shape)


@given(label_maps(), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_padding_and_cropping_change_nothing_but_the_diagonal(case, before, after):
    *maps, spacing = case
    padded = [np.pad(a, [(before, after)] * a.ndim) for a in maps]
    assert values(*padded, spacing) == values(*maps, spacing)


@given(label_maps(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_axes_may_be_permuted_with_their_spacing_and_flipped(case, random):
    *maps, spacing = case
    order = random.sample(range(len(spacing)), len(spacing))
    mirrored = random.randrange(len(spacing))
    turned = [np.flip(a.transpose(order), mirrored) for a in maps]
    assert_same(values(*maps, spacing), values(*turned, tuple(spacing[axis] for axis in order)))


@given(label_maps())
@settings(max_examples=60, deadline=None)
def test_symmetric_metrics_do_not_care_which_is_the_reference(case):
    reference, prediction, spacing = case
    there, back = values(reference, prediction, spacing), values(prediction, reference, spacing)
    for name in (*OVERLAPS, *SHARES, *DISTANCES, "volume_abs_error_ml:v1"):
        assert there[name] == pytest.approx(back[name], rel=1e-14) if there[name] is not None else back[name] is None
    mirrored = {"precision:v1": "sensitivity:v1", "lesion_precision:c26:v1": "lesion_sensitivity:c26:v1"}
    mirrored["lesions_reference:c26:v1"] = "lesions_prediction:c26:v1"
    assert [there[name] for name in mirrored] == [back[name] for name in mirrored.values()]


@given(label_maps())
@settings(max_examples=60, deadline=None)
def test_twice_the_spacing_gives_twice_the_distance_and_eight_times_the_volume(case):
    *maps, spacing = case
    factor = dict.fromkeys(("hd", "hd95", "assd", "masd"), 2.0)
    factor |= {name: 2.0 ** len(spacing) for name in map(short, metrics.DEFINITIONS) if name.endswith("_ml")}
    once = values(*maps, spacing, taus=())
    assert_same(once, values(*maps, tuple(2 * s for s in spacing), taus=()), factor=factor)


@given(label_maps(), st.sampled_from([0.3, 0.958, 1.25, 4.0]))
@settings(max_examples=60, deadline=None)
def test_twice_the_spacing_with_twice_the_tolerance_has_the_same_shares(case, tau):
    *maps, spacing = case
    once = values(*maps, spacing, taus=(tau,))
    twice = values(*maps, tuple(2 * s for s in spacing), taus=(2 * tau,))
    for name in ("nsd@{tau}mm:c6-bg-pooled:v1", "boundary_iou@{tau}mm:c6-bg:v1"):
        assert once[name.format(tau=f"{tau:g}")] == twice[name.format(tau=f"{2 * tau:g}")]


@given(label_maps())
@settings(max_examples=60, deadline=None)
def test_labels_may_be_renamed(case):
    *maps, spacing = case
    renamed = [np.array([0, 7, 200], np.uint8)[a] for a in maps]
    assert values(*maps, spacing, [1]) == values(*renamed, spacing, [7])
    assert values(*maps, spacing, [2]) == values(*renamed, spacing, [200])


@given(label_maps())
@settings(max_examples=60, deadline=None)
def test_a_region_of_several_codes_is_their_union(case):
    *maps, spacing = case
    union = [(a > 0).astype(np.uint8) for a in maps]
    assert values(*maps, spacing, [1, 2]) == values(*union, spacing, [1])


@given(label_maps())
@settings(max_examples=60, deadline=None)
def test_overlaps_lie_between_nothing_and_everything(case):
    reference, prediction, spacing = case
    found = values(reference, prediction, spacing)
    shares = (*OVERLAPS, *SHARES, "precision:v1", "sensitivity:v1", "lesion_precision:c26:v1")
    assert all(found[name] is None or 0 <= found[name] <= 1 for name in shares)
    same = values(reference, reference, spacing)
    if (reference == 1).any():
        assert [same[name] for name in shares] == [1.0] * len(shares)
        assert [same[name] for name in (*OVERLAPS, *DISTANCES, "ravd:v1")] == [1.0] * 4 + [0.0] * 5
    else:
        assert same["dice:v1"] is None


def test_a_2d_image_scores_the_same_with_a_singleton_axis_anywhere():
    reference, prediction = blobs((30, 24))
    flat = values(reference, prediction, (0.7, 1.1))
    assert flat["hd:c6-bg-max:v1"] > 1 and flat["nsd@1mm:c6-bg-pooled:v1"] < 0.9
    thick = [
        values(reference[..., None], prediction[..., None], (0.7, 1.1, 8.0)),
        values(reference[None], prediction[None], (8.0, 0.7, 1.1)),
    ]
    for found in thick:
        for name in (*OVERLAPS, *DISTANCES):
            assert found[name] == flat[name], name
    plane = pair(reference[..., None], prediction[..., None], (0.7, 1.1, 8.0))
    assert plane.diagonal_mm == pytest.approx(np.hypot(30 * 0.7, 24 * 1.1), rel=1e-14)
    assert plane.voxel_ml == pytest.approx(0.7 * 1.1 * 8.0 / 1000)


@pytest.mark.parametrize("stored", [np.float32, np.float64])
def test_a_tolerance_of_one_spacing_holds_one_voxel_however_the_spacing_is_stored(stored):
    affine = np.diag(np.array([0.958, 0.958, 3.0, 1.0], dtype=stored)).astype(np.float64)
    reference = np.zeros((12, 12, 6), np.uint8)
    reference[3:8, 3:8, 2:4] = 1
    volume = Volume(reference, affine)
    assert volume.spacing == (0.958, 0.958, 3.0)
    one = values(reference, np.roll(reference, 1, axis=0), volume.spacing, taus=(0.958,))
    assert one["nsd@0.958mm:c6-bg-pooled:v1"] == 1.0
    three = values(reference, np.roll(reference, 3, axis=0), volume.spacing, taus=(3 * 0.958,))
    assert three["nsd@2.874mm:c6-bg-pooled:v1"] == 1.0


@pytest.mark.fault(75)
def test_empty_masks_have_the_values_of_the_table():
    some, none = np.zeros((2, 5, 6, 7), np.uint8)
    some[1:3, 2:4, 3:5] = 1
    spacing = (1.0, 2.0, 3.0)

    missed = values(some, none, spacing)
    assert [missed[name] for name in OVERLAPS] == [0.0] * 4
    assert [missed[name] for name in DISTANCES] == [None] * 4
    assert (missed["ravd:v1"], missed["rvd:v1"]) == (100.0, -100.0)
    assert missed["volume_reference_ml:v1"] == pytest.approx(8 * 6 / 1000)
    assert [missed[name] for name in FURTHER] == [None, 0.0, *[0.0] * 3, 1.0, 0.0, 0.0, 0.0, 0.0, None]
    assert missed["volume_error_ml:v1"] == -missed["volume_abs_error_ml:v1"] == pytest.approx(-8 * 6 / 1000)

    false = values(none, some, spacing)
    assert [false[name] for name in OVERLAPS] == [0.0] * 4
    assert [false[name] for name in DISTANCES] == [None] * 4
    assert (false["ravd:v1"], false["rvd:v1"]) == (None, None)
    assert false["volume_false_ml:v1"] == pytest.approx(8 * 6 / 1000)
    assert [false[name] for name in FURTHER] == [0.0, None, *[0.0] * 3, 0.0, 1.0, 0.0, 1.0, None, 0.0]
    assert false["volume_error_ml:v1"] == false["volume_abs_error_ml:v1"] == pytest.approx(8 * 6 / 1000)

    assert set(values(none, none, spacing).values()) == {None}
    statuses = [
        measure(pair(a, b, spacing), [1]).status for a, b in ((some, none), (none, some), (none, none), (some, some))
    ]
    assert statuses == ["missed", "false", "both_empty", "ok"]


@pytest.mark.fault(75, 76)
def test_an_invalid_prediction_is_the_worst_even_where_the_reference_is_empty():
    none = np.zeros((4, 4, 4), np.uint8)
    measured = dataclasses.replace(measure(pair(none, none, (1.0, 1.0, 1.0)), [1]), status="invalid")
    found = metrics.evaluate(measured, TAUS)
    assert [found[name] for name in OVERLAPS] == [0.0] * 4
    assert [found[name] for name in DISTANCES] == [None] * 4
    assert found["ravd:v1"] == 100.0
    assert [found[name] for name in FURTHER] == [None, None, *[0.0] * 7, None, None]
    assert (found["volume_error_ml:v1"], found["volume_abs_error_ml:v1"]) == (None, None)
    some = none.copy()
    some[1, 1:3, 1] = 1
    lost = dataclasses.replace(measure(pair(some, none, (1.0, 1.0, 1.0)), [1]), status="invalid")
    missed = values(some, none, (1.0, 1.0, 1.0))
    assert metrics.evaluate(lost, TAUS) == missed
    assert missed["volume_abs_error_ml:v1"] == pytest.approx(2 / 1000)


def test_hd95_is_the_larger_of_the_two_directed_percentiles():
    reference = np.zeros((60, 1), np.uint8)
    prediction = reference.copy()
    reference[:40] = prediction[:40] = 1
    prediction[55] = 1
    measured = measure(pair(reference, prediction, (1.0, 1.0)), [1])
    # In one dimension the outline of a run is its two ends: 0 and 39 against 0, 39 and 55.
    np.testing.assert_array_equal(measured.distances_reference, [0, 0])
    np.testing.assert_array_equal(measured.distances_prediction, [0, 0, 16])
    found = metrics.evaluate(measured, TAUS)
    assert found["hd95:c6-bg-max:v1"] == pytest.approx(16 * 0.9)  # linear: position 0.95 * 2 of 0, 0, 16
    assert found["assd:c6-bg-pooled:v1"] == pytest.approx(16 / 5)
    assert found["masd:c6-bg-mean:v1"] == pytest.approx(16 / 3 / 2)
    assert found["nsd@1mm:c6-bg-pooled:v1"] == pytest.approx(4 / 5)


def test_a_metric_is_one_function(monkeypatch):
    monkeypatch.setattr(metrics, "DEFINITIONS", dict(metrics.DEFINITIONS))
    monkeypatch.setattr(metrics, "_METRICS", dict(metrics._METRICS))
    before = metrics.version()

    @metrics.metric("volumetric_similarity:v1")
    def volumetric_similarity(measured):
        """Volumetric similarity, 1 - |fn - fp| / (2 tp + fp + fn)."""
        return 1 - abs(measured.fn - measured.fp) / (2 * measured.tp + measured.fp + measured.fn)

    reference, prediction = blobs()
    found = values(reference, prediction, (1.0, 1.0, 1.0))
    volumes = (reference == 1).sum(), (prediction == 1).sum()
    assert found["volumetric_similarity:v1"] == pytest.approx(1 - abs(volumes[0] - volumes[1]) / sum(volumes))
    assert "2 tp" in metrics.DEFINITIONS["volumetric_similarity:v1"]
    assert metrics.version() != before


def test_every_definition_stands_in_the_document():
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert len(metrics.DEFINITIONS) > 10
    assert [name for name in metrics.DEFINITIONS if f"`{name}`" not in text] == []
    assert [name for name, value in EXPECTED.items() if name[:3] != "rvd" and str(abs(value)) not in text] == []
