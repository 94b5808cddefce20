"""The profiles against those whose rules they are, or their rules written out: on the reference case and at random.

`make oracles` installs MedPy, MONAI and surface-distance.
"""

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from bench import profile
from bench.surface import measure, pair
from converters.volume import read_label

EXACT = 1e-9
CASES = ["reference case", *range(8)]
SPACINGS = [(1.0, 1.0, 1.0), (0.7265625, 0.7265625, 2.0), (1.2, 0.9, 3.0), (0.958, 0.958, 3.0)]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    """Reference, prediction and spacing: the CT liver, or random blobs in 3D (even) and 2D (odd), cut by the edge."""
    if request.param == "reference case":
        folder = request.getfixturevalue("shared_data") / "score_case"
        g, p = (read_label(folder / f"{name}.nii.gz") for name in ("gt", "seg"))
        return g.array > 0, p.array > 0, g.spacing
    rng = np.random.default_rng(request.param)
    ndim = 3 - request.param % 2
    shape = (26, 31, 13)[:ndim]
    g, p = (ndimage.gaussian_filter(rng.standard_normal(shape), 2) for _ in range(2))
    return g > np.quantile(g, 0.7), g + 0.4 * p > np.quantile(g, 0.75), SPACINGS[request.param // 2][:ndim]


def ours(name, case, tolerances=(1.0, 2.0)):
    g, p, spacing = case
    found = pair(g.astype(np.uint8), p.astype(np.uint8), spacing)
    masks = profile.cut(found, [1], measure(found, [1]).status, tolerances)
    values = profile.find(name).values(masks)
    return {key.removeprefix(f"{name}.").removesuffix(":v1"): value for key, value in values.items()}


def closest(border_g, border_p, spacing):
    g, p = (np.argwhere(border) * spacing for border in (border_g, border_p))
    return cKDTree(p).query(g)[0], cKDTree(g).query(p)[0]


def test_chaos_is_what_its_document_says(case):
    g, p, spacing = case
    faces = ndimage.generate_binary_structure(g.ndim, 1)
    borders = (mask & ~ndimage.binary_erosion(mask, faces, border_value=1) for mask in (g, p))
    found = np.concatenate(closest(*borders, spacing))
    dice = 2 * (g & p).sum() / (g.sum() + p.sum())
    ravd = 100 * abs(int(g.sum()) - int(p.sum())) / g.sum()
    assd, mssd = found.mean(), found.max()
    scores = {
        "dice_score": 100 * dice if dice >= 0.8 else 0,
        "ravd_score": 100 - 20 * ravd if ravd <= 5 else 0,
        "assd_score": 100 - 20 / 3 * assd if assd <= 15 else 0,
        "mssd_score": 100 - 5 / 3 * mssd if mssd <= 60 else 0,
    }
    values = {"dice": dice, "ravd_percent": ravd, "assd_mm": assd, "mssd_mm": mssd, **scores}
    expected = {**values, "score": np.mean(list(scores.values()))}
    assert ours("chaos", case) == pytest.approx(expected, rel=EXACT)


def test_mrbrains_is_what_simple_itk_makes_of_its_rules(case):
    sitk = pytest.importorskip("SimpleITK")
    g, p, spacing = case
    borders = []
    for mask in (g, p):
        image = sitk.GetImageFromArray(mask.T.astype(np.uint8))  # ITK's axes in NumPy are z, y, x
        radius = (1, 1, 0)[: mask.ndim]
        borders.append(sitk.GetArrayFromImage(sitk.Subtract(image, sitk.BinaryErode(image, radius))).T > 0)
    directed = closest(*borders, spacing)
    dice = 2 * (g & p).sum() / (g.sum() + p.sum())
    difference = abs(int(g.sum()) - int(p.sum()))
    assert ours("mrbrains18", case) == pytest.approx(
        {
            "dice": dice,
            "hd95_mm": max(np.percentile(distances, 95) for distances in directed),
            "volumetric_similarity": 1 - difference / (g.sum() + p.sum()),
        },
        rel=EXACT,
    )
    assert ours("mrbrains13", case) == pytest.approx(
        {
            "dice_percent": 100 * dice,
            "hd95_mm": max(np.percentile(distances, 95, method="inverted_cdf") for distances in directed),
            "avd_percent": 100 * difference / g.sum(),
        },
        rel=EXACT,
    )


@pytest.mark.parametrize(("name", "unit"), [("ssl4mis", "voxels"), ("medpy", "mm")])
def test_medpy_gives_the_same_with_a_spacing_and_ssl4mis_without(case, name, unit):
    binary = pytest.importorskip("medpy.metric.binary", reason="needs the extra [oracles]")
    g, p, spacing = case
    box = ndimage.find_objects((g | p).astype(int))[0]  # MedPy's answer is the same, and comes before the tea is cold
    g, p, mm = g[box], p[box], spacing if unit == "mm" else None
    assert ours(name, case) == pytest.approx(
        {
            "dice": binary.dc(p, g),
            f"hd95_{unit}": binary.hd95(p, g, mm),
            f"asd_prediction_to_reference_{unit}": binary.asd(p, g, mm),
        },
        rel=EXACT,
    )


def test_pymic_is_what_its_rules_say(case):
    g, p, spacing = case
    faces = ndimage.generate_binary_structure(g.ndim, 1)
    directed = closest(*(mask & ~ndimage.binary_erosion(mask, faces) for mask in (g, p)), spacing)
    both, either = (g & p).sum(), (g | p).sum()
    hd95 = max(sorted(distances)[int(len(distances) * 0.95)] for distances in directed)
    assd = np.concatenate(directed).mean()
    assert ours("pymic", case) == pytest.approx(
        {
            "dice": (2.0 * both + 1e-5) / (g.sum() + p.sum() + 1e-5),
            "iou": (both + 1e-5) / (either + 1e-5),
            "hd95_mm": hd95,
            "hd95_reported_mm": min(hd95, 50),
            "assd_mm": assd,
            "assd_reported_mm": min(assd, 20),
            "rve": abs(float(g.sum()) - p.sum()) / g.sum(),
        },
        rel=EXACT,
    )


def test_surface_distance_is_the_package(case):
    theirs = pytest.importorskip("surface_distance", reason="needs the extra [oracles]")
    g, p, spacing = case
    # At 0.958 and 1.2 mm the tolerance is a step of the grid: there it hangs on the last bit of a distance.
    tolerances = (*spacing, 1.0, 2.0)
    found = theirs.compute_surface_distances(g, p, spacing)
    means = theirs.compute_average_surface_distance(found)
    areas = found["surfel_areas_gt"].sum(), found["surfel_areas_pred"].sum()
    expected = {
        "dice": theirs.compute_dice_coefficient(g, p),
        "hd95_mm": theirs.compute_robust_hausdorff(found, 95),
        "asd_reference_to_prediction_mm": means[0],
        "asd_prediction_to_reference_mm": means[1],
        "assd_mm": np.dot(means, areas) / sum(areas),
    }
    expected |= {f"nsd@{t:g}mm": theirs.compute_surface_dice_at_tolerance(found, t) for t in tolerances}
    assert ours("surface_distance", case, tolerances) == pytest.approx(expected, rel=EXACT)


def test_surface_distance_is_the_surface_dice_of_monai_with_subvoxels(case):
    torch = pytest.importorskip("torch")
    monai = pytest.importorskip("monai.metrics", reason="needs the extra [oracles]")
    g, p, spacing = case
    box = ndimage.find_objects((g | p).astype(int))[0]
    g, p = (np.pad(mask[box], 1) for mask in (g, p))
    one_hot = [torch.from_numpy(np.stack([~mask, mask])[None]) for mask in (p, g)]
    for tau in (1.0, 2.0):
        found = monai.compute_surface_dice(
            *one_hot, class_thresholds=[tau], spacing=spacing, use_subvoxels=True, include_background=False
        )
        assert ours("surface_distance", case)[f"nsd@{tau:g}mm"] == pytest.approx(float(found), rel=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_the_area_at_every_corner_code_is_that_of_the_package(seed):
    tables = pytest.importorskip("surface_distance.lookup_tables", reason="needs the extra [oracles]")
    from bench.profiles.surface_distance import element_sizes

    spacing = tuple(np.random.default_rng(seed).uniform(0.2, 8, 3)) if seed else (1.0, 1.0, 1.0)
    areas = tables.create_table_neighbour_code_to_surface_area(spacing)
    lengths = tables.create_table_neighbour_code_to_contour_length(spacing[:2])
    np.testing.assert_allclose(element_sizes(spacing), areas, rtol=1e-12, atol=0)
    np.testing.assert_allclose(element_sizes(spacing[:2]), lengths, rtol=1e-12, atol=0)


@pytest.mark.parametrize("ndim", [2, 3])
def test_the_bits_of_a_corner_code_are_those_of_the_package(ndim):
    tables = pytest.importorskip("surface_distance.lookup_tables", reason="needs the extra [oracles]")
    from bench.profiles.surface_distance import corner_codes

    mask = np.random.default_rng(ndim).random((5, 6, 7)[:ndim]) > 0.5
    kernel = tables.ENCODE_NEIGHBOURHOOD_3D_KERNEL if ndim == 3 else tables.ENCODE_NEIGHBOURHOOD_2D_KERNEL
    theirs = ndimage.correlate(np.pad(mask, (0, 1)).astype(np.uint8), kernel, mode="constant")
    np.testing.assert_array_equal(corner_codes(mask), theirs)
