"""MRBrainS13: Dice in %, 95th percentile Hausdorff distance, absolute volume difference in %.

Rules: Mendrik et al., Computational Intelligence and Neuroscience 2015, 813696, section "Evaluation".
Differs from ours: HD95 is a ranked distance (Huttenlocher et al. 1993), the K-th of n with K / n = 95 %, not an
interpolated one. The organisers never published the code. Two things the paper leaves open are taken here as: K is
rounded up, and the border is that of their next challenge (see `mrbrains18`). Dice and volume difference are exact.
One mask empty: no distance, Dice 0, no difference to an empty reference. Both empty, or no usable prediction: no value.
"""

from bench.distances import Distances
from bench.profile import Masks, Values
from bench.profiles.mrbrains18 import in_plane_distances


def values(masks: Masks) -> Values:
    """Dice in %, HD95 in mm, and 100 |V_g - V_p| / V_g."""
    distances = in_plane_distances(masks)
    dice, error = masks.dice, masks.volume_error
    found = {
        "dice_percent": None if dice is None else 100 * dice,
        "hd95_mm": None if distances is None else max(_ranked(each) for each in distances),
        "avd_percent": None if error is None else 100 * error,
    }
    nothing = masks.status in ("both_empty", "invalid")
    return {f"mrbrains13.{name}:v1": None if nothing else value for name, value in found.items()}


def _ranked(distances: Distances) -> float:
    """The smallest distance that 95 % of the voxels do not exceed."""
    return float(distances[-(-95 * len(distances) // 100) - 1])
