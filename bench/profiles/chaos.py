"""CHAOS 2019: Dice, RAVD, ASSD, MSSD, and the mean of their 0 to 100 scores.

Rules: the organisers' document of September 2019 and their code, emrekavur/CHAOS-evaluation at 1db9484 (Python), whose
border is by 6 neighbours where the document says 27.
Differs from ours: the edge of the image is no border, and thresholds turn each value into a score that drops to 0.
No prediction, or a false one: Dice 0 and the diagonal of the image for both distances, as their MATLAB code means to
give (their Python code stops), and every score 0; the diagonal, too, for a mask that fills the image and so has no
border. Both empty: no value.
"""

from bench.distances import border
from bench.profile import Masks, Values

_LIMITS = {"ravd_percent": 5.0, "assd_mm": 15.0, "mssd_mm": 60.0}  # beyond these a value scores 0


def values(masks: Masks) -> Values:
    """The four metrics, their scores and the mean score."""
    found = _metrics(masks)
    scores = {name.partition("_")[0] + "_score": _score(name, masks, value) for name, value in found.items()}
    numbers = found | scores | {"score": sum(scores.values()) / len(scores)}
    nothing = masks.status == "both_empty"
    return {f"chaos.{name}:v1": None if nothing else value for name, value in numbers.items()}


def _metrics(masks: Masks) -> Values:
    error = masks.volume_error
    distances = masks.distances(masks.closed(border))
    if distances is None:
        assd = mssd = masks.diagonal_mm
    else:
        g, p = distances
        assd, mssd = float(g.sum() + p.sum()) / (len(g) + len(p)), max(float(g[-1]), float(p[-1]))
    if masks.status == "invalid":
        # Even where the reference is empty and has no volume to divide by.
        return {"dice": 0.0, "ravd_percent": 100.0, "assd_mm": assd, "mssd_mm": mssd}
    return {
        "dice": masks.dice,
        "ravd_percent": None if error is None else error * 100,
        "assd_mm": assd,
        "mssd_mm": mssd,
    }


def _score(name: str, masks: Masks, value: float | None) -> float:
    if value is None or masks.status != "ok":
        return 0.0
    if name == "dice":
        # Not stretched like the others: 0.8 scores 80, and less scores 0.
        return 100 * value if value >= 0.8 else 0.0
    return 100 * (1 - value / _LIMITS[name]) if value <= _LIMITS[name] else 0.0
