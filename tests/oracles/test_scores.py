"""The scorer against MONAI and MedPy, on random shapes: equal where the definition is. `make oracles` installs them."""

import numpy as np
import pytest
from scipy import ndimage

from bench import metrics
from bench.surface import measure, pair

SPACING = (1.2, 0.9, 3.0)
DICE, HD, HD95, ASSD, NSD = (
    "dice:v1",
    "hd:c6-bg-max:v1",
    "hd95:c6-bg-max:v1",
    "assd:c6-bg-pooled:v1",
    "nsd@2mm:c6-bg-pooled:v1",
)


def blob(rng, shape):
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), 2)
    return (noise > np.quantile(noise, 0.8)).astype(np.uint8)


@pytest.fixture(params=range(5))
def masks(request):
    """A reference and a prediction that overlap in part."""
    rng = np.random.default_rng(request.param)
    shape = (24, 30, 12)
    reference = blob(rng, shape)
    return reference, np.maximum(np.roll(reference, 2, axis=0), blob(rng, shape))


def ours(reference, prediction):
    return metrics.evaluate(measure(pair(reference, prediction, SPACING), [1]), (2.0,))


def test_monai_gives_the_same(masks):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics", reason="needs the extra [oracles]")
    g, p = (torch.from_numpy(np.stack([1 - mask, mask])[None]) for mask in masks)
    how = {"include_background": False, "spacing": SPACING}
    theirs = {
        DICE: monai.compute_dice(p, g, include_background=False),
        HD: monai.compute_hausdorff_distance(p, g, **how),
        HD95: monai.compute_hausdorff_distance(p, g, percentile=95, **how),
        ASSD: monai.compute_average_surface_distance(p, g, symmetric=True, **how),
        NSD: monai.compute_surface_dice(p, g, class_thresholds=[2.0], **how),
    }
    found = ours(*masks)
    assert {name: found[name] for name in theirs} == pytest.approx({k: float(v) for k, v in theirs.items()}, rel=1e-5)


def test_medpy_gives_the_same_where_it_means_the_same(masks):
    binary = pytest.importorskip("medpy.metric.binary", reason="needs the extra [oracles]")
    reference, prediction = masks
    found = ours(reference, prediction)
    assert found[DICE] == pytest.approx(binary.dc(prediction, reference), rel=1e-9)
    assert found[HD] == pytest.approx(binary.hd(prediction, reference, voxelspacing=SPACING), rel=1e-9)
    assert found[ASSD] == pytest.approx(binary.assd(prediction, reference, voxelspacing=SPACING), rel=1e-9)
    # Its HD95 takes one percentile of both directions pooled: never more than the larger of the two.
    assert found[HD95] >= binary.hd95(prediction, reference, voxelspacing=SPACING) - 1e-9
