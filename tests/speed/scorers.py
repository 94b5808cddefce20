"""The scorer and its peers, each made into a function without arguments: what a peer wants its input turned into first
is not timed. `python tests/speed/scorers.py PEER FOLDER` prints the extra peak memory of one, in MiB.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from memory import extra_mib
from scipy import ndimage

from bench import metrics
from bench.surface import Measured, measure, pair
from converters.volume import read_label

DICE, HD, HD95, ASSD, NSD = "dice", "hd", "hd95", "assd", "nsd@2mm"
# What section 1 of the contract names: all that peers offer too. The rest is the further metrics.
FIRST = (metrics.dice, metrics.iou, metrics.hd, metrics.hd95, metrics.assd, metrics.masd, metrics.ravd, metrics.rvd)


def liver(folder: Path):
    """Reference, prediction, spacing: a CT liver of 512 x 512 x 78 voxels."""
    reference, prediction = (read_label(folder / "score_case" / f"{name}.nii.gz") for name in ("gt", "seg"))
    return reference.array, prediction.array, reference.spacing


def first(measured: Measured):
    """The metrics of section 1."""
    found = {function.__name__: function(measured) for function in FIRST}
    return found | {f"nsd@{tau:g}mm": metrics.nsd(measured, tau) for tau in (1.0, 2.0)}


def further(measured: Measured):
    """The rims and lesions, which are measured when they are asked for."""
    found = {f"boundary_iou@{tau:g}mm": metrics.boundary_iou(measured, tau) for tau in (1.0, 2.0)}
    return found | {"lesion_f1": metrics.lesion_f1(measured), "lesions": tuple(measured.lesions)}


def ours(reference, prediction, spacing, codes=(1,)):
    def score():
        both = pair(reference, prediction, spacing)
        found = [first(measure(both, [code])) for code in codes]
        return found[0]

    return score


def everything(reference, prediction, spacing, codes=(1,)):
    def score():
        both = pair(reference, prediction, spacing)
        found = [metrics.evaluate(measure(both, [code]), (1.0, 2.0)) for code in codes]
        return found[0]

    return score


def monai(reference, prediction, spacing):
    torch = pytest.importorskip("torch")
    peer = pytest.importorskip("monai.metrics", reason="needs the extra [peers]")
    g, p = (torch.from_numpy(np.stack([a == 0, a == 1])[None].astype(np.uint8)) for a in (reference, prediction))
    how = {"include_background": False, "spacing": spacing}
    return lambda: {
        DICE: float(peer.compute_dice(p, g, include_background=False)),
        HD: float(peer.compute_hausdorff_distance(p, g, **how)),
        HD95: float(peer.compute_hausdorff_distance(p, g, percentile=95, **how)),
        ASSD: float(peer.compute_average_surface_distance(p, g, symmetric=True, **how)),
        NSD: float(peer.compute_surface_dice(p, g, class_thresholds=[2.0], **how)),
    }


def surface_distance(reference, prediction, spacing):
    peer = pytest.importorskip("surface_distance", reason="needs pip install surface-distance")
    g, p = reference == 1, prediction == 1

    def score():
        distances = peer.compute_surface_distances(g, p, spacing)
        return {
            DICE: peer.compute_dice_coefficient(g, p),
            HD: peer.compute_robust_hausdorff(distances, 100),
            # Its outline lies on voxel corners, so the rest is another metric: timed, and not compared.
            "corners": peer.compute_robust_hausdorff(distances, 95),
            "corners, mean": peer.compute_average_surface_distance(distances),
            "corners, within": peer.compute_surface_dice_at_tolerance(distances, 2.0),
        }

    return score


def medpy(reference, prediction, spacing):
    peer = pytest.importorskip("medpy.metric.binary", reason="needs the extra [peers]")
    g, p = reference == 1, prediction == 1
    return lambda: {
        DICE: peer.dc(p, g),
        HD: peer.hd(p, g, spacing),
        "pooled": peer.hd95(p, g, spacing),  # of both directions pooled: another metric
        ASSD: peer.assd(p, g, spacing),
    }


def scipy_rims(reference, prediction, spacing):
    """Boundary IoU as one writes it with SciPy: a distance transform of the crop for each mask."""
    masks = cropped(reference, prediction)
    faces = ndimage.generate_binary_structure(reference.ndim, 1)

    def score():
        depths = []
        for mask in masks:
            outline = mask & ~ndimage.binary_erosion(mask, faces)
            depths.append(np.where(mask, ndimage.distance_transform_edt(~outline, sampling=spacing), np.inf))
        rims = {tau: [depth <= tau + 1e-6 for depth in depths] for tau in (1.0, 2.0)}
        return {f"boundary_iou@{tau:g}mm": (g & p).sum() / (g | p).sum() for tau, (g, p) in rims.items()}

    return score


def scipy_lesions(reference, prediction, spacing):
    """Lesions as one writes them with SciPy."""
    g, p = cropped(reference, prediction)
    corners = np.ones((3,) * reference.ndim)

    def score():
        (parts_g, count_g), (parts_p, count_p) = (ndimage.label(mask, corners) for mask in (g, p))
        return {"lesions": (count_g, count_p, len(np.unique(parts_g[g & p])), len(np.unique(parts_p[g & p])))}

    return score


def medpy_objects(reference, prediction, spacing):
    """Object-wise rates, by pairing objects one to one: another metric, timed alone."""
    peer = pytest.importorskip("medpy.metric.binary", reason="needs the extra [peers]")
    g, p = cropped(reference, prediction)
    return lambda: {"pairs": (peer.obj_tpr(p, g, 3), peer.obj_fpr(p, g, 3))}


def cropped(reference, prediction):
    (box,) = ndimage.find_objects(((reference == 1) | (prediction == 1)).astype(np.uint8))
    box = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box)
    return reference[box] == 1, prediction[box] == 1


SCORERS = (ours, everything, monai, surface_distance, medpy)


if __name__ == "__main__":
    (chosen,) = [scorer for scorer in SCORERS if scorer.__name__ == sys.argv[1]]
    print(f"{extra_mib(chosen(*liver(Path(sys.argv[2])))):.0f}")  # noqa: T201
