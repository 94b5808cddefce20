"""The values of the reference case, and all numbers of two masks: `from profiled import block, scored`."""

import numpy as np

from bench import profile
from bench.surface import measure, pair

TOLERANCES = (1.0, 2.0)
ALL = ("chaos", "medpy", "mrbrains13", "mrbrains18", "pymic", "ssl4mis", "surface_distance")
REFERENCE_CASE = {
    "chaos.dice:v1": 0.9784341478506637,
    "chaos.ravd_percent:v1": 0.6645339808356205,
    "chaos.assd_mm:v1": 0.7341309688269261,
    "chaos.mssd_mm:v1": 14.0,
    "chaos.dice_score:v1": 97.84341478506637,
    "chaos.ravd_score:v1": 86.70932038328759,
    "chaos.assd_score:v1": 95.10579354115383,
    "chaos.mssd_score:v1": 76.66666666666667,
    "chaos.score:v1": 89.0812988440436,
    "medpy.dice:v1": 0.9784341478506637,
    "medpy.hd95_mm:v1": 2.4721594336986037,
    "medpy.asd_prediction_to_reference_mm:v1": 0.8046238966697519,
    "mrbrains13.dice_percent:v1": 97.84341478506637,
    "mrbrains13.hd95_mm:v1": 2.619658348579305,
    "mrbrains13.avd_percent:v1": 0.6645339808356205,
    "mrbrains18.dice:v1": 0.9784341478506637,
    "mrbrains18.hd95_mm:v1": 2.619658348579305,
    "mrbrains18.volumetric_similarity:v1": 0.9966662531555136,
    "pymic.dice:v1": 0.9784341478507442,
    "pymic.iou:v1": 0.9577788311858608,
    "pymic.hd95_mm:v1": 3.6328125,
    "pymic.hd95_reported_mm:v1": 3.6328125,
    "pymic.assd_mm:v1": 0.7129284626973728,
    "pymic.assd_reported_mm:v1": 0.7129284626973728,
    "pymic.rve:v1": 0.006645339808356205,
    "ssl4mis.dice:v1": 0.9784341478506637,
    "ssl4mis.hd95_voxels:v1": 2.0,
    "ssl4mis.asd_prediction_to_reference_voxels:v1": 0.7174697250700002,
    "surface_distance.dice:v1": 0.9784341478506637,
    "surface_distance.hd95_mm:v1": 2.5767159975502247,
    "surface_distance.asd_reference_to_prediction_mm:v1": 0.44155650549425496,
    "surface_distance.asd_prediction_to_reference_mm:v1": 0.6090178798272908,
    "surface_distance.assd_mm:v1": 0.5261362595265485,
    "surface_distance.nsd@1mm:v1": 0.8435066253810043,
    "surface_distance.nsd@2mm:v1": 0.9502598072480365,
}


def scored(reference, prediction, spacing, names=ALL, status=None):
    """All numbers of one binary structure, the names without version."""
    found = pair(np.asarray(reference, np.uint8), np.asarray(prediction, np.uint8), spacing)
    masks = profile.cut(found, [1], status or measure(found, [1]).status, TOLERANCES)
    return {name.removesuffix(":v1"): value for name, value in profile.evaluate(names, masks).items()}


def block(shape, *sides):
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(*side) for side in sides)] = 1
    return mask
