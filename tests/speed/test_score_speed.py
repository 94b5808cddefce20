"""The scorer beside its peers on one real organ: `pytest tests/speed --benchmark-only` with the extra [peers]."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scorers

from bench.surface import measure, pair
from converters.volume import read_label

CPU = time.process_time  # the machine is shared


@pytest.fixture(scope="module")
def liver(shared_data):
    return scorers.liver(shared_data)


# One round of a peer takes as long as hundreds of ours.
@pytest.mark.benchmark(group="section 1, one organ, 512x512x78, CPU", timer=CPU)
@pytest.mark.parametrize(
    ("scorer", "rounds"),
    [(scorers.ours, 15), (scorers.monai, 1), (scorers.surface_distance, 5), (scorers.medpy, 1)],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_scoring_an_organ_beside_its_peers(benchmark, liver, scorer, rounds):
    score, expected = scorer(*liver), scorers.ours(*liver)()
    found = benchmark.pedantic(score, rounds=rounds)
    # A quick scorer of something else would win nothing: what has one definition has one value.
    shared = expected.keys() & found.keys()
    assert len(shared) >= 2
    for name in shared:
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


@pytest.mark.benchmark(group="boundary IoU at 1 and 2 mm, lesions, one organ, CPU", timer=CPU)
def test_further_metrics_of_an_organ(benchmark, liver):
    both = pair(*liver)
    benchmark.pedantic(scorers.further, setup=lambda: ((measure(both, [1]),), {}), rounds=15)


@pytest.mark.benchmark(group="boundary IoU at 1 and 2 mm, lesions, one organ, CPU", timer=CPU)
@pytest.mark.parametrize("peer", [scorers.scipy_rims, scorers.scipy_lesions, scorers.medpy_objects])
def test_further_metrics_of_an_organ_the_usual_way(benchmark, liver, peer):
    expected = scorers.further(measure(pair(*liver), [1]))
    found = benchmark.pedantic(peer(*liver), rounds=3)
    for name in expected.keys() & found.keys():
        assert found[name] == pytest.approx(expected[name], rel=1e-12), name


@pytest.mark.benchmark(group="every metric of a record, one organ, CPU", timer=CPU)
def test_every_metric_of_an_organ(benchmark, liver):
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
def test_one_label_and_four_on_the_same_volume(benchmark, labels, how, scorer):
    name, reference, prediction, spacing = labels
    benchmark.group = f"{name}: one label and {reference.max()}, {scorer.__name__}, CPU"
    codes = range(1, int(reference.max()) + 1) if how == "all labels" else [1]
    if how == "one label":
        reference, prediction = ((a > 0).astype(np.uint8) for a in (reference, prediction))
    benchmark._timer = CPU
    benchmark.pedantic(scorer(reference, prediction, spacing, codes), rounds=15)


def test_an_organ_takes_less_than_150_mib(shared_data):
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured by /proc")
    script = Path(scorers.__file__)
    done = subprocess.run(
        [sys.executable, str(script), "everything", str(shared_data)],
        cwd=script.parents[2], capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert 0 < float(done.stdout) < 150
