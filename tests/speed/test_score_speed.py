"""The scorer beside its peers on one real organ: `pytest tests/speed --benchmark-only` with the extra [peers]."""

import time

import numpy as np
import pytest

from bench import metrics
from bench.surface import measure, pair
from converters.volume import read_label

ASSD, HD, HD95, NSD = (
    "assd:c6-bg-pooled:v1",
    "hd:c6-bg-max:v1",
    "hd95:c6-bg-max:v1",
    "nsd@2mm:c6-bg-pooled:v1",
)


@pytest.fixture(scope="module")
def liver(shared_data):
    """Reference, prediction, spacing: a CT liver of 512 x 512 x 78 voxels."""
    reference, prediction = (read_label(shared_data / "score_case" / f"{name}.nii.gz") for name in ("gt", "seg"))
    return reference.array, prediction.array, reference.spacing


# Each gives a function without arguments: what a peer wants its input turned into first is not timed.


def ours(reference, prediction, spacing):
    return lambda: metrics.evaluate(measure(pair(reference, prediction, spacing), [1]), (1.0, 2.0))


def monai(reference, prediction, spacing):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("monai.metrics", reason="needs the extra [peers]")
    g, p = (torch.from_numpy(np.stack([a == 0, a == 1])[None].astype(np.uint8)) for a in (reference, prediction))
    how = {"include_background": False, "spacing": spacing}
    return lambda: {
        "dice:v1": float(peer.compute_dice(p, g, include_background=False)),
        HD: float(peer.compute_hausdorff_distance(p, g, **how)),
        HD95: float(peer.compute_hausdorff_distance(p, g, percentile=95, **how)),
        ASSD: float(peer.compute_average_surface_distance(p, g, symmetric=True, **how)),
        NSD: float(peer.compute_surface_dice(p, g, class_thresholds=[2.0], **how)),
    }


def surface_distance(reference, prediction, spacing):
    peer = pytest.importorskip("surface_distance", reason="needs pip install surface-distance")
    g, p = reference == 1, prediction == 1

    def score():
        distances = peer.compute_surface_distances(g, p, spacing)
        return {
            "dice:v1": peer.compute_dice_coefficient(g, p),
            HD: peer.compute_robust_hausdorff(distances, 100),
            # Its outline lies on voxel corners, so the rest is another metric: timed, and not compared.
            "hd95": peer.compute_robust_hausdorff(distances, 95),
            "assd": peer.compute_average_surface_distance(distances),
            "nsd": peer.compute_surface_dice_at_tolerance(distances, 2.0),
        }

    return score


def medpy(reference, prediction, spacing):
    peer = pytest.importorskip("medpy.metric.binary", reason="needs the extra [peers]")
    g, p = reference == 1, prediction == 1
    return lambda: {
        "dice:v1": peer.dc(p, g),
        HD: peer.hd(p, g, spacing),
        "hd95": peer.hd95(p, g, spacing),  # of both directions pooled: another metric
        ASSD: peer.assd(p, g, spacing),
    }


# CPU time, since the machine is shared; one round of a peer takes as long as hundreds of ours.
@pytest.mark.benchmark(group="score one organ, 512x512x78, CPU seconds", timer=time.process_time)
@pytest.mark.parametrize(("scorer", "rounds"), [(ours, 9), (monai, 1), (surface_distance, 3), (medpy, 1)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_scoring_an_organ_beside_its_peers(benchmark, liver, scorer, rounds):
    score, expected = scorer(*liver), ours(*liver)()
    found = benchmark.pedantic(score, rounds=rounds)
    # A quick scorer of something else would win nothing: what has one definition has one value.
    for name in expected.keys() & found.keys():
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
