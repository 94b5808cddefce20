"""MRBrainS18: Dice, 95th percentile Hausdorff distance, volumetric similarity.

Rules: the organisers' evaluation, hjkuijf/MRBrainS18 evaluation.py at 57311d0; the WMH challenge shares its distance.
Differs from ours: a border voxel has one of its 8 neighbours in the slice outside the mask (an erosion by 3 x 3 x 1),
and the edge of the image is no border. The percentile and the larger of both directions are ours.
Their two pathology labels are taken out of both maps first: here, what the reference calls 255.
One mask empty: Dice and similarity 0, no distance; nor where a mask fills all its slices and so has no border. Both
empty, or no usable prediction: no value.
"""

from bench.distances import Distances, Mask
from bench.profile import Masks, Values


def values(masks: Masks) -> Values:
    """Dice, HD95 in mm, and 1 - |V_g - V_p| / (V_g + V_p)."""
    import numpy as np

    g, p, _ = masks.volumes
    distances = in_plane_distances(masks)
    found = {
        "dice": masks.dice,
        "hd95_mm": None if distances is None else max(float(np.percentile(each, 95)) for each in distances),
        "volumetric_similarity": 1 - abs(g - p) / (g + p) if g + p else None,
    }
    return {f"mrbrains18.{name}:v1": None if masks.status == "invalid" else value for name, value in found.items()}


def in_plane_distances(masks: Masks) -> tuple[Distances, Distances] | None:
    """Sorted distances in mm between the borders that are drawn slice by slice; None where one has none."""
    return masks.distances(masks.closed(lambda mask: in_plane_border(mask, masks.slice_axis)))


def in_plane_border(mask: Mask, slice_axis: int | None) -> Mask:
    """Voxels with one of the 8 neighbours in their slice outside the mask; outside the array counts as outside."""
    import numpy as np

    inner = mask.copy()
    for axis in range(mask.ndim):
        if axis != slice_axis:
            # One axis after the other: what is left has its diagonal neighbours too.
            along, before = np.moveaxis(inner, axis, 0), np.moveaxis(inner.copy(), axis, 0)
            along[1:] &= before[:-1]
            along[:-1] &= before[1:]
            along[0] = along[-1] = False
    return mask & ~inner
