"""MedPy called with the spacing, as WSL4MIS and many scripts do: Dice, HD95 and ASD in mm.

Rules: MedPy 0.5.2, `dc`, `hd95` and `asd` with `voxelspacing`; its border is ours, and so is its `assd`.
Differs from ours: HD95 is one percentile over both directions pooled, never more than the larger of the two; ASD runs
from the prediction only, so what it misses costs nothing.
Where one side is empty or nothing was predicted MedPy raises for the distances, and there is no value; its Dice is 0,
and 1 where both are.
"""

from bench.distances import Distances, border
from bench.profile import Masks, Values

_OVERLAP = {"both_empty": 1.0, "missed": 0.0, "false": 0.0}


def values(masks: Masks) -> Values:
    """Dice, HD95 pooled, and ASD from prediction to reference."""
    found: Values = dict.fromkeys(("hd95_mm", "asd_prediction_to_reference_mm"))
    found["dice"] = None if masks.status == "invalid" else _OVERLAP.get(masks.status, masks.dice)
    distances = masks.distances(border)
    if distances is not None:
        g, p = distances
        found["hd95_mm"] = pooled95(g, p)
        found["asd_prediction_to_reference_mm"] = float(p.mean())
    return {f"medpy.{name}:v1": value for name, value in sorted(found.items())}


def pooled95(reference: Distances, prediction: Distances) -> float:
    """The 95th percentile of both directions together."""
    import numpy as np

    return float(np.percentile(np.concatenate([prediction, reference]), 95))
