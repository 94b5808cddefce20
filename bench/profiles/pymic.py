"""PyMIC: Dice, IoU, HD95, ASSD and relative volume error.

Rules: HiLab-git/PyMIC, releases 0.5.0 to 0.6.2, pymic/util/evaluation_seg.py.
Differs from ours: Dice and IoU have 1e-5 added above and below the line; HD95 takes the distance at index
`int(0.95 n)` of the sorted n, not an interpolated one; the volume error is a fraction. Border, directions and ASSD are
ours. Since 0.5.4 its command cuts off what it prints, HD95 at 50 and ASSD at 20 mm: the two numbers called reported.
One mask empty: HD95 100 and ASSD 20, whatever the image's size. Both empty: Dice and IoU 1, distances 0. Empty
reference: no volume error (the code stops). No usable prediction: no value.
IoU is computed in float64; under NumPy 2 the package rounds its denominator to float32.
"""

from bench.distances import border
from bench.profile import Masks, Values

_SMOOTH = 1e-5
_MOST_HD95, _MOST_ASSD = 50.0, 20.0


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
        "hd95_reported_mm": min(hd95, _MOST_HD95),
        "assd_mm": assd,
        "assd_reported_mm": min(assd, _MOST_ASSD),
        "rve": masks.volume_error,
    }
    return {f"pymic.{name}:v1": None if masks.status == "invalid" else value for name, value in found.items()}
