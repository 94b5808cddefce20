"""SSL4MIS, and the many papers that score with its scripts: Dice, HD95 and ASD, both in voxels.

Rules: HiLab-git/SSL4MIS code/test_2D_fully.py at f5b9b38, which calls MedPy 0.5.2's `dc`, `hd95` and `asd` without a
spacing, and code/val_2D.py of the same commit for an empty prediction.
Differs from ours: voxels are counted as cubes of side 1, so on ACDC a slice, 5 to 10 mm, is as near as a pixel of 1.4;
HD95 is one percentile over both directions pooled, never more than the larger of the two; ASD runs from the prediction
only, so what it misses costs nothing.
Empty prediction: the test script stops (MedPy raises); the validation script gives Dice 0 and HD95 0, the best there
is, so that a network that finds nothing looks exact. That is reproduced here, and it is wrong. Other versions of the
script give 50 and 10 there. False organ: Dice 0, no distance. No usable prediction: no value.
"""

from bench.distances import border
from bench.profile import Masks, Values
from bench.profiles.medpy import pooled95


def values(masks: Masks) -> Values:
    """Dice, HD95 pooled, and ASD from prediction to reference."""
    distances = masks.distances(border, (1.0,) * len(masks.spacing))
    _, predicted, _ = masks.volumes
    found: Values = {
        "dice": masks.dice if predicted else 0.0,
        "hd95_voxels": None if predicted else 0.0,
        "asd_prediction_to_reference_voxels": None,
    }
    if distances is not None:
        g, p = distances
        found["hd95_voxels"] = pooled95(g, p)
        found["asd_prediction_to_reference_voxels"] = float(p.mean())
    return {f"ssl4mis.{name}:v1": None if masks.status == "invalid" else value for name, value in found.items()}
