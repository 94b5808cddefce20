"""The scorer against docs/metrics.md, written out voxel by voxel, and on cases made from the real one."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench import metrics
from bench.surface import measure, pair
from converters.dataset import IGNORE
from converters.volume import read_label

TAUS = (0.6, 1.0, 2.5)


def flat(labels, codes):
    """Voxels of a structure, as indices along the axes that are longer than one."""
    long = [axis for axis, n in enumerate(labels.shape) if n > 1] or [0]
    return {tuple(int(voxel[axis]) for axis in long) for voxel in np.argwhere(np.isin(labels, codes))}


def outline(voxels):
    """Those with a face neighbour that is not among them."""
    found = []
    for voxel in voxels:
        for axis, step in itertools.product(range(len(voxel)), (-1, 1)):
            if (*voxel[:axis], voxel[axis] + step, *voxel[axis + 1 :]) not in voxels:
                found.append(voxel)
                break
    return found


def nearest(voxel, others, spacing):
    return min(
        math.sqrt(sum(((a - b) * s) ** 2 for a, b, s in zip(voxel, other, spacing, strict=True))) for other in others
    )


def percentile(values, share):
    """Linear interpolation between the sorted values."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = math.floor(place)
    high = min(low + 1, len(values) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def parts(voxels):
    """Sets of voxels that meet at faces, edges or corners."""
    left, found = set(voxels), []
    while left:
        part, new = set(), {left.pop()}
        while new:
            part |= new
            new = {q for q in left if any(max(abs(a - b) for a, b in zip(q, v, strict=True)) <= 1 for v in new)}
            left -= new
        found.append(part)
    return found


def overlaps(g, p, voxel_ml):
    tp = len(g & p)
    lesions_g, lesions_p = parts(g), parts(p)
    found, right = sum(bool(part & p) for part in lesions_g), sum(bool(part & g) for part in lesions_p)
    recall, precision = found / len(lesions_g) if g else None, right / len(lesions_p) if p else None
    return {
        "dice:v1": 2 * tp / (len(g) + len(p)),
        "iou:v1": tp / len(g | p),
        "precision:v1": tp / len(p) if p else None,
        "sensitivity:v1": tp / len(g) if g else None,
        "ravd:v1": 100 * abs(len(p) - len(g)) / len(g) if g else None,
        "rvd:v1": 100 * (len(p) - len(g)) / len(g) if g else None,
        "volume_reference_ml:v1": len(g) * voxel_ml,
        "volume_prediction_ml:v1": len(p) * voxel_ml,
        "volume_false_ml:v1": len(p - g) * voxel_ml,
        "volume_error_ml:v1": (len(p) - len(g)) * voxel_ml,
        "volume_abs_error_ml:v1": abs(len(p) - len(g)) * voxel_ml,
        "lesions_reference:c26:v1": len(lesions_g),
        "lesions_prediction:c26:v1": len(lesions_p),
        "lesions_detected:c26:v1": found,
        "lesions_false:c26:v1": len(lesions_p) - right,
        "lesion_sensitivity:c26:v1": recall,
        "lesion_precision:c26:v1": precision,
        "lesion_f1:c26:v1": 2 * recall * precision / (recall + precision) if recall and precision else 0,
    }


def surfaces(g, p, spacing):
    s_g, s_p = outline(g), outline(p)
    rims = {
        tau: [{v for v in m if s and nearest(v, s, spacing) <= tau + 1e-6} for m, s in ((g, s_g), (p, s_p))]
        for tau in TAUS
    }
    found = {f"boundary_iou@{tau:g}mm:c6-bg:v1": len(a & b) / len(a | b) for tau, (a, b) in rims.items()}
    if not g or not p:
        none = dict.fromkeys(["hd:c6-bg-max:v1", "hd95:c6-bg-max:v1", "assd:c6-bg-pooled:v1", "masd:c6-bg-mean:v1"])
        return found | none | {f"nsd@{tau:g}mm:c6-bg-pooled:v1": 0 for tau in TAUS}
    d_g, d_p = [nearest(v, s_p, spacing) for v in s_g], [nearest(v, s_g, spacing) for v in s_p]
    both = d_g + d_p
    found |= {
        "hd:c6-bg-max:v1": max(both),
        "hd95:c6-bg-max:v1": max(percentile(d_g, 0.95), percentile(d_p, 0.95)),
        "assd:c6-bg-pooled:v1": sum(both) / len(both),
        "masd:c6-bg-mean:v1": (sum(d_g) / len(d_g) + sum(d_p) / len(d_p)) / 2,
    }
    return found | {f"nsd@{tau:g}mm:c6-bg-pooled:v1": sum(d <= tau + 1e-6 for d in both) / len(both) for tau in TAUS}


@st.composite
def label_maps(draw):
    """2D and 3D, with axes of length one, voxels nobody annotated, structures that miss, and tolerances on the grid."""
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=5))
    density = draw(st.sampled_from([0.1, 0.4, 0.8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    maps = [(rng.random(shape) < density) * rng.integers(1, 4, shape, dtype=np.uint8) for _ in range(2)]
    if draw(st.booleans()):
        maps[0][rng.random(shape) < 0.2] = IGNORE
    return *maps, tuple(draw(st.sampled_from([0.5, 0.6, 1.0, 1.25, 4.0])) for _ in shape)


@given(label_maps(), st.sampled_from([(1,), (3,), (1, 2), (1, 2, 3)]))
@settings(max_examples=200, deadline=None)
def test_every_metric_is_what_its_definition_says_voxel_by_voxel(case, codes):
    reference, prediction, spacing = case
    found = metrics.evaluate(measure(pair(reference, prediction, spacing), codes), TAUS)
    seen = np.where(reference == IGNORE, 0, prediction)
    g, p = flat(reference, codes), flat(seen, codes)
    if not g | p:
        assert set(found.values()) == {None}
        return
    long = [s for s, n in zip(spacing, reference.shape, strict=True) if n > 1] or [spacing[0]]
    expected = overlaps(g, p, math.prod(spacing) / 1000) | surfaces(g, p, long)
    assert found.keys() == expected.keys(), "a metric is written out, voxel by voxel, in `overlaps` or `surfaces` above"
    for name, value in expected.items():
        assert found[name] == (None if value is None else pytest.approx(value, rel=1e-12, abs=1e-15)), name


@pytest.fixture(scope="module")
def liver(shared_data):
    reference, prediction = (read_label(shared_data / "score_case" / f"{name}.nii.gz") for name in ("gt", "seg"))
    return reference.array, prediction.array, reference.spacing


# HD, HD95, ASSD, NSD at 1 mm, by MONAI 1.6.1.
SLICE = (19.76464, 12.45773, 1.51869, 0.61675)
EMPTY = (None, None, None, 0.0)
DERIVED = {
    "a slice": (lambda g, p, s: (g[..., 26], p[..., 26], s[:2]), SLICE),
    "a slice that kept its axis": (lambda g, p, s: (g[..., 26:27], p[..., 26:27], s), SLICE),
    "a slice across the first axis": (lambda g, p, s: (g[..., 26].T[None], p[..., 26].T[None], s[::-1]), SLICE),
    "the thickness that the file claims": (
        lambda g, p, s: (g, p, (*s[:2], 3.2)),
        (19.25859, 3.93941, 0.82044, 0.77315),
    ),
    "spacing in reversed order": (lambda g, p, s: (g, p, s[::-1]), (18.49805, 2.17969, 0.5025, 0.88202)),
    "the same twice": (lambda g, p, s: (g, g, s), (0, 0, 0, 1)),
    "nothing predicted": (lambda g, p, s: (g, 0 * g, s), EMPTY),
    "nothing to find": (lambda g, p, s: (0 * g, p, s), EMPTY),
    "nothing at all": (lambda g, p, s: (0 * g, 0 * g, s), (None,) * 4),
}


@pytest.mark.parametrize("name", DERIVED)
def test_cases_made_from_the_reference_case(liver, name):
    change, expected = DERIVED[name]
    found = metrics.evaluate(measure(pair(*change(*liver)), [1]), (1.0,))
    names = ("hd:c6-bg-max:v1", "hd95:c6-bg-max:v1", "assd:c6-bg-pooled:v1", "nsd@1mm:c6-bg-pooled:v1")
    for definition, value in zip(names, expected, strict=True):
        assert found[definition] == (None if value is None else pytest.approx(value, abs=6e-6)), definition
