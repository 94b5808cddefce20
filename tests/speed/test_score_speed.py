"""The scorer beside its peers on one real organ: `pytest tests/speed --benchmark-only` with the extra [peers]."""

import time

import numpy as np
import pytest
import scorers
from memory import peak_mib

from bench.surface import measure, pair
from converters.volume import read_label

CPU = time.process_time  # the machine is shared


@pytest.fixture(scope="module")
def liver(shared_data):
    return scorers.liver(shared_data)


SECTION_1 = "scoring an organ of 512x512x78, the metrics that peers have too, CPU time"
FURTHER = "scoring an organ of 512x512x78, boundary IoU at 1 and 2 mm and lesions, CPU time"


# One round of a peer takes as long as hundreds of ours.
@pytest.mark.benchmark(timer=CPU)
@pytest.mark.parametrize(
    ("name", "scorer", "rounds", "does"),
    [
        ("ours", scorers.ours, 15, "Dice, IoU, HD, HD95, ASSD, MASD, volume errors, NSD at two tolerances"),
        ("MONAI", scorers.monai, 1, "Dice, HD, HD95, ASSD, NSD"),
        (
            "surface-distance",
            scorers.surface_distance,
            5,
            "its distances, then Dice, HD, HD95, average distances, Dice at a tolerance",
        ),
        ("MedPy", scorers.medpy, 1, "dc, hd, hd95, assd"),
    ],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_scoring_an_organ_beside_its_peers(benchmark, enter, liver, name, scorer, rounds, does):
    enter(SECTION_1, name, does, unit="organs")
    score, expected = scorer(*liver), scorers.ours(*liver)()
    found = benchmark.pedantic(score, rounds=rounds)
    # A quick scorer of something else would win nothing: what has one definition has one value.
    shared = expected.keys() & found.keys()
    assert len(shared) >= 2
    for metric in shared:
        assert found[metric] == pytest.approx(expected[metric], rel=1e-5), metric


@pytest.mark.benchmark(timer=CPU)
def test_further_metrics_of_an_organ(benchmark, enter, liver):
    enter(FURTHER, "ours", "both from what section 1 has measured", unit="organs")
    both = pair(*liver)
    benchmark.pedantic(scorers.further, setup=lambda: ((measure(both, [1]),), {}), rounds=15)


@pytest.mark.benchmark(timer=CPU)
@pytest.mark.parametrize(
    ("name", "peer", "does"),
    [
        ("SciPy, boundary IoU", scorers.scipy_rims, "a distance transform of the crop for each mask; no lesions"),
        ("SciPy, lesions", scorers.scipy_lesions, "labelled components of both masks; no boundary IoU"),
        ("MedPy, objects", scorers.medpy_objects, "obj_tpr and obj_fpr: another metric of lesions"),
    ],
)
def test_further_metrics_of_an_organ_the_usual_way(benchmark, enter, liver, name, peer, does):
    enter(FURTHER, name, does, unit="organs")
    expected = scorers.further(measure(pair(*liver), [1]))
    found = benchmark.pedantic(peer(*liver), rounds=3)
    for metric in expected.keys() & found.keys():
        assert found[metric] == pytest.approx(expected[metric], rel=1e-12), metric


@pytest.mark.benchmark(timer=CPU)
def test_every_metric_of_an_organ(benchmark, enter, liver):
    enter("scoring an organ of 512x512x78, every metric of a record, CPU time", "ours", "more than 20", unit="organs")
    assert len(benchmark.pedantic(scorers.everything(*liver), rounds=15)) > 20


@pytest.fixture(scope="module", params=["quarters of the liver", "slabs of the liver", "heart"])
def labels(request, shared_data, liver):
    """One label map in two ways: one label, and the same voxels in four (a heart: three)."""
    if request.param == "heart":
        heart = shared_data / "acdc" / "database" / "training" / "patient001"
        reference, other = (read_label(heart / f"patient001_frame{k}_gt.nii.gz") for k in ("01", "12"))
        return request.param, reference.array, other.array, reference.spacing
    reference, prediction, spacing = liver
    x, y, z = (np.arange(n) for n in reference.shape)
    part = (
        1 + np.add.outer(np.add.outer(x > 135, 2 * (y > 265)), 0 * z)
        if request.param.startswith("quarters")
        else np.broadcast_to(1 + np.searchsorted([27, 35, 45], z), reference.shape)
    ).astype(np.uint8)
    return request.param, *(np.asfortranarray(a * part) for a in (reference, prediction)), spacing


@pytest.mark.parametrize("scorer", [scorers.ours, scorers.everything])
@pytest.mark.parametrize("how", ["one label", "all labels"])
def test_one_label_and_four_on_the_same_volume(benchmark, enter, labels, how, scorer):
    name, reference, prediction, spacing = labels
    what = "section 1" if scorer is scorers.ours else "every metric"
    enter(f"scoring {name}, {what}, CPU time", how, f"1 or {reference.max()} labels on the same voxels", unit="volumes")
    codes = range(1, int(reference.max()) + 1) if how == "all labels" else [1]
    if how == "one label":
        reference, prediction = ((a > 0).astype(np.uint8) for a in (reference, prediction))
    benchmark._timer = CPU
    benchmark.pedantic(scorer(reference, prediction, spacing, codes), rounds=15)


def test_an_organ_takes_less_than_150_mib(shared_data):
    taken = peak_mib(scorers.__file__, "everything", shared_data)
    if taken is None:
        pytest.skip("memory is measured by /proc")
    assert 0 < taken < 150
