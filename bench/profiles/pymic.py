"""PyMIC: Dice, IoU, HD95, ASSD and relative volume error.

Rules: HiLab-git/PyMIC, release 0.6.2, pymic/util/evaluation_seg.py.
Differs from ours: Dice and IoU have 1e-5 added above and below the line; HD95 takes the distance at index
`int(0.95 n)` of the sorted n, not an interpolated one; the volume error is a fraction. Border, directions and ASSD are
ours.
One mask empty: HD95 100 and ASSD 20, whatever the image's size. Both empty: Dice and IoU 1, distances 0. Empty
reference: no volume error (the code stops). No usable prediction: no value.
"""

from bench.distances import border
from bench.profile import Masks, Values

_SMOOTH = 1e-5


def values(masks: Masks) -> Values:
    """Dice, IoU, HD95 in mm, ASSD in mm and |V_p - V_g| / V_g."""
    g, p, tp = masks.volumes
    distances = masks.distances(border)
    if distances is None:
        hd95, assd = (0.0, 0.0) if masks.status == "both_empty" else (100.0, 20.0)
    else:
        hd95 = max(float(each[int(len(each) * 0.95)]) for each in distances)
        assd = sum(float(each.sum()) for each in distances) / sum(len(each) for each in distances)
    found = {
        "dice": (2 * tp + _SMOOTH) / (g + p + _SMOOTH),
        "iou": (tp + _SMOOTH) / (g + p - tp + _SMOOTH),
        "hd95_mm": hd95,
        "assd_mm": assd,
        "rve": masks.volume_error,
    }
    return {f"pymic.{name}:v1": None if masks.status == "invalid" else value for name, value in found.items()}
