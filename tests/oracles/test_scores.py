"""The scorer against other people's code, on a real liver and on random label maps: `make oracles` installs them.

Where a definition is the same, so is the value. Where it is not, the value follows from what we measured by the rule
that the test is named after; docs/metrics.md lists the rules.
"""

from typing import NamedTuple

import numpy as np
import pytest
from scipy import ndimage

from bench import metrics
from bench.distances import between, nearest
from bench.profiles.surface_distance import corner_codes
from bench.surface import Measured, measure, pair
from converters.volume import read_label

TAUS = (1.0, 2.0)
NAMES = {
    "dice": "dice:v1",
    "iou": "iou:v1",
    "precision": "precision:v1",
    "sensitivity": "sensitivity:v1",
    "hd": "hd:c6-bg-max:v1",
    "hd95": "hd95:c6-bg-max:v1",
    "assd": "assd:c6-bg-pooled:v1",
    "masd": "masd:c6-bg-mean:v1",
    "nsd@1mm": "nsd@1mm:c6-bg-pooled:v1",
    "nsd@2mm": "nsd@2mm:c6-bg-pooled:v1",
    "rvd": "rvd:v1",
}


class Structure(NamedTuple):
    """One label of one pair of label maps: the masks, and what we make of them."""

    reference: np.ndarray
    prediction: np.ndarray
    spacing: tuple[float, ...]
    measured: Measured
    ours: dict[str, float]


def structures(reference, prediction, spacing):
    """Every label, measured within one pair."""
    both = pair(reference, prediction, spacing)
    found = []
    for code in both.reference_codes:
        measured = measure(both, [code])
        assert measured.status == "ok"
        values = metrics.evaluate(measured, TAUS)
        ours = {name: values[definition] for name, definition in NAMES.items()}
        found.append(Structure(reference == code, prediction == code, spacing, measured, ours))
    return found


def smooth_labels(rng, shape, labels):
    """Blobs that touch each other and the edge of the volume."""
    noise = ndimage.gaussian_filter(rng.standard_normal((labels + 1, *shape)), (0, *[2] * len(shape)))
    return noise.argmax(axis=0).astype(np.uint8)


RANDOM = {
    **{f"3D {seed}": (seed, (24, 30, 12), (1.2, 0.9, 3.0)) for seed in range(3)},
    **{f"2D {seed}": (seed, (60, 47), (0.7, 1.1)) for seed in range(3)},
    "2D wide": (3, (20, 90), (2.5, 0.4)),
}


@pytest.fixture(params=["liver", *RANDOM], scope="module")
def case(request):
    """Three labels that overlap in part with their prediction, or the reference case, cut out with a margin."""
    if request.param == "liver":
        folder = request.getfixturevalue("shared_data") / "score_case"
        volumes = [read_label(folder / f"{name}.nii.gz") for name in ("gt", "seg")]
        g, p = (np.pad(volume.array, 1) for volume in volumes)
        (box,) = ndimage.find_objects((g | p).astype(np.uint8))
        box = tuple(slice(side.start - 1, side.stop + 1) for side in box)
        return structures(g[box], p[box], volumes[0].spacing)
    seed, shape, spacing = RANDOM[request.param]
    rng = np.random.default_rng(seed)
    reference = smooth_labels(rng, shape, 3)
    noise = smooth_labels(rng, shape, 3)
    where = smooth_labels(rng, shape, 1).astype(bool)
    return structures(reference, np.where(where, np.roll(reference, 2, axis=0), noise), spacing)


def test_monai_gives_the_same(case):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics", reason="needs the extra [oracles]")
    for one in case:
        g, p = (torch.from_numpy(np.stack([~m, m])[None].astype(np.uint8)) for m in (one.reference, one.prediction))
        how = {"include_background": False, "spacing": one.spacing}
        counts = monai.get_confusion_matrix(p, g, include_background=False)
        theirs = {
            "dice": monai.compute_dice(p, g, include_background=False),
            "iou": monai.compute_iou(p, g, include_background=False),
            "precision": monai.compute_confusion_matrix_metric("precision", counts),
            "sensitivity": monai.compute_confusion_matrix_metric("sensitivity", counts),
            "hd": monai.compute_hausdorff_distance(p, g, **how),
            "hd95": monai.compute_hausdorff_distance(p, g, percentile=95, **how),
            "assd": monai.compute_average_surface_distance(p, g, symmetric=True, **how),
            # Its tolerance has no grace of its own.
            "nsd@1mm": monai.compute_surface_dice(p, g, class_thresholds=[1.0 + metrics.EPSILON_MM], **how),
            "nsd@2mm": monai.compute_surface_dice(p, g, class_thresholds=[2.0 + metrics.EPSILON_MM], **how),
        }
        # It computes in float32.
        assert {name: one.ours[name] for name in theirs} == pytest.approx(
            {name: float(value) for name, value in theirs.items()}, rel=1e-5
        )


def test_monai_asymmetric_is_one_direction(case):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics", reason="needs the extra [oracles]")
    for one in case:
        g, p = (torch.from_numpy(np.stack([~m, m])[None].astype(np.uint8)) for m in (one.reference, one.prediction))
        theirs = monai.compute_average_surface_distance(p, g, include_background=False, spacing=one.spacing)
        assert float(theirs) == pytest.approx(one.measured.distances_prediction.mean(), rel=1e-5)


@pytest.fixture
def binary():
    return pytest.importorskip("medpy.metric.binary", reason="needs the extra [oracles]")


def test_medpy_gives_the_same_where_it_means_the_same(case, binary):
    for one in case:
        masks = one.prediction, one.reference
        theirs = {
            "dice": binary.dc(*masks),
            "iou": binary.jc(*masks),
            "precision": binary.precision(*masks),
            "sensitivity": binary.recall(*masks),
            "hd": binary.hd(*masks, voxelspacing=one.spacing),
            "assd": binary.assd(*masks, voxelspacing=one.spacing),
        }
        assert {name: one.ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)


def test_medpy_hd95_is_one_percentile_of_both_directions_pooled(case, binary):
    for one in case:
        pooled = np.concatenate([one.measured.distances_reference, one.measured.distances_prediction])
        theirs = binary.hd95(one.prediction, one.reference, voxelspacing=one.spacing)
        assert theirs == pytest.approx(np.percentile(pooled, 95), rel=1e-9)


def test_medpy_asd_is_one_direction_and_the_mean_of_both_is_masd(case, binary):
    for one in case:
        there = binary.asd(one.prediction, one.reference, voxelspacing=one.spacing)
        back = binary.asd(one.reference, one.prediction, voxelspacing=one.spacing)
        assert there == pytest.approx(one.measured.distances_prediction.mean(), rel=1e-9)
        assert (there + back) / 2 == pytest.approx(one.ours["masd"], rel=1e-9)


def test_medpy_ravd_is_a_signed_fraction(case, binary):
    for one in case:
        assert binary.ravd(one.prediction, one.reference) == pytest.approx(one.ours["rvd"] / 100, rel=1e-9, abs=1e-15)


def test_deepmind_counts_the_same_voxels_and_measures_between_voxel_corners(case):
    theirs = pytest.importorskip("surface_distance", reason="needs the extra [oracles]")
    for one in case:
        found = theirs.compute_surface_distances(one.reference, one.prediction, one.spacing)
        assert theirs.compute_dice_coefficient(one.reference, one.prediction) == pytest.approx(one.ours["dice"])
        corners = [corner_codes(mask) for mask in (one.reference, one.prediction)]
        full = 2 ** (2**one.reference.ndim) - 1
        outlines = [(codes > 0) & (codes < full) for codes in corners]
        g, p = between(*outlines, one.spacing)
        assert g == pytest.approx(np.sort(found["distances_gt_to_pred"]), rel=1e-9)
        assert p == pytest.approx(np.sort(found["distances_pred_to_gt"]), rel=1e-9)
        assert theirs.compute_robust_hausdorff(found, 100) == pytest.approx(max(g[-1], p[-1]), rel=1e-9)


def images(one):
    sitk = pytest.importorskip("SimpleITK")
    made = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in (one.reference, one.prediction)]
    for image in made:
        image.SetSpacing(one.spacing[::-1])
    return sitk, made


def test_simple_itk_counts_the_same_voxels(case):
    for one in case:
        sitk, (reference, prediction) = images(one)
        overlap = sitk.LabelOverlapMeasuresImageFilter()
        overlap.Execute(prediction, reference)
        theirs = {
            "dice": overlap.GetDiceCoefficient(),
            "iou": overlap.GetJaccardCoefficient(),
            "sensitivity": 1 - overlap.GetFalseNegativeError(),
            "precision": 1 - overlap.GetFalseDiscoveryRate(),
        }
        assert {name: one.ours[name] for name in theirs} == pytest.approx(theirs, rel=1e-9)


def test_simple_itk_hausdorff_is_between_sets(case):
    for one in case:
        sitk, (reference, prediction) = images(one)
        theirs = sitk.HausdorffDistanceImageFilter()
        theirs.Execute(reference, prediction)
        # From every voxel of a mask; those inside the other are at 0.
        there = nearest(one.reference, one.prediction, one.spacing)
        back = nearest(one.prediction, one.reference, one.spacing)
        assert theirs.GetHausdorffDistance() == pytest.approx(max(there.max(), back.max()), rel=1e-5)
        assert theirs.GetAverageHausdorffDistance() == pytest.approx((there.mean() + back.mean()) / 2, rel=1e-5)
        assert theirs.GetHausdorffDistance() <= one.ours["hd"] * (1 + 1e-5)


def test_simple_itk_hausdorff_of_outlines_is_ours_and_its_average_masd(case):
    for one in case:
        padded = one._replace(reference=np.pad(one.reference, 1), prediction=np.pad(one.prediction, 1))
        sitk, made = images(padded)
        theirs = sitk.HausdorffDistanceImageFilter()
        theirs.Execute(*[sitk.LabelContour(image, fullyConnected=False) for image in made])
        assert theirs.GetHausdorffDistance() == pytest.approx(one.ours["hd"], rel=1e-5)
        assert theirs.GetAverageHausdorffDistance() == pytest.approx(one.ours["masd"], rel=1e-5)
