"""Metrics: each is a function of what was measured, with a definition id that changes when its values do."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from converters.files import digest

if TYPE_CHECKING:
    from bench.distances import Distances
    from bench.surface import Measured

EPSILON_MM = 1e-6  # a distance that is the tolerance but for rounding is within it

Metric = TypeVar("Metric", bound=Callable[..., float | None])
DEFINITIONS: dict[str, str] = {}  # definition id -> what it gives; `{tau}` in both stands for a tolerance in mm
_METRICS: dict[str, Callable[..., float | None]] = {}


def metric(definition: str) -> Callable[[Metric], Metric]:
    """Give a function its definition id; from then on every scored structure has its value.

    A function of (measured, tau) has `{tau}` in its id and is evaluated at each tolerance of the dataset.
    """

    def note(function: Metric) -> Metric:
        DEFINITIONS[definition] = (function.__doc__ or "").partition("\n")[0]
        _METRICS[definition] = function
        return function

    return note


def evaluate(measured: "Measured", tolerances_mm: Iterable[float]) -> dict[str, float | None]:
    """Every metric of one structure, raw: definition id -> value.

    None where there is nothing to measure, and everywhere when both sides are empty: what that counts for in a mean is
    the business of the table.
    """
    values: dict[str, float | None] = {}
    for definition, function in _METRICS.items():
        if "{tau}" in definition:
            values |= {definition.format(tau=f"{tau:g}"): function(measured, tau) for tau in tolerances_mm}
        else:
            values[definition] = function(measured)
    if measured.status == "both_empty":
        return dict.fromkeys(values)
    # A NumPy number is no JSON number.
    return {definition: None if value is None else float(value) for definition, value in values.items()}


def version() -> str:
    """Digest of all definition ids: another one where a metric was added, removed or redefined."""
    return digest(sorted(DEFINITIONS))[:12]


@metric("dice:v1")
def dice(measured: "Measured") -> float | None:
    """Dice coefficient, 2 tp / (2 tp + fp + fn), from voxel counts."""
    return 2 * measured.tp / max(1, 2 * measured.tp + measured.fp + measured.fn)


@metric("iou:v1")
def iou(measured: "Measured") -> float | None:
    """Intersection over union, tp / (tp + fp + fn), from voxel counts."""
    return measured.tp / max(1, measured.tp + measured.fp + measured.fn)


@metric("precision:v1")
def precision(measured: "Measured") -> float | None:
    """Precision, tp / (tp + fp): the share of the prediction that is right."""
    return _share(measured.tp, measured.tp + measured.fp)


@metric("sensitivity:v1")
def sensitivity(measured: "Measured") -> float | None:
    """Sensitivity or recall, tp / (tp + fn): the share of the reference that was found."""
    return _share(measured.tp, measured.tp + measured.fn)


@metric("hd:c6-bg-max:v1")
def hd(measured: "Measured") -> float | None:
    """Hausdorff distance in mm: the largest distance from a border voxel of one to the nearest of the other."""
    return _larger(measured, lambda distances: distances[-1])


@metric("hd95:c6-bg-max:v1")
def hd95(measured: "Measured") -> float | None:
    """95th percentile Hausdorff distance in mm: the larger of the two directed percentiles."""
    return _larger(measured, lambda distances: np.percentile(distances, 95))


@metric("assd:c6-bg-pooled:v1")
def assd(measured: "Measured") -> float | None:
    """Average symmetric surface distance in mm: the mean over the border voxels of both, pooled."""
    g, p = measured.distances_reference, measured.distances_prediction
    return None if g is None or p is None else (g.sum() + p.sum()) / (len(g) + len(p))


@metric("masd:c6-bg-mean:v1")
def masd(measured: "Measured") -> float | None:
    """Mean average surface distance in mm: the mean of the two directed means."""
    g, p = measured.distances_reference, measured.distances_prediction
    return None if g is None or p is None else (g.mean() + p.mean()) / 2


@metric("nsd@{tau}mm:c6-bg-pooled:v1")
def nsd(measured: "Measured", tau: float) -> float | None:
    """Normalised surface distance: the share of the border voxels of both, pooled, within {tau} mm of the other."""
    g, p = measured.distances_reference, measured.distances_prediction
    if g is None or p is None:
        return 0.0
    within = sum(int(np.searchsorted(distances, tau + EPSILON_MM, side="right")) for distances in (g, p))
    return within / (len(g) + len(p))


@metric("boundary_iou@{tau}mm:c6-bg:v1")
def boundary_iou(measured: "Measured", tau: float) -> float | None:
    """Boundary IoU: intersection over union of the rims, voxels of a mask within {tau} mm of its own border."""
    reference, prediction, both = measured.rims(tau + EPSILON_MM)
    return both / max(1, reference + prediction - both)


@metric("ravd:v1")
def ravd(measured: "Measured") -> float | None:
    """Relative absolute volume difference in %: 100 |V_p - V_g| / V_g."""
    signed = rvd(measured)
    return None if signed is None else abs(signed)


@metric("rvd:v1")
def rvd(measured: "Measured") -> float | None:
    """Relative volume difference in %, signed: 100 (V_p - V_g) / V_g, negative where the prediction is too small."""
    if measured.status == "invalid":
        return -100.0  # as missed, even where the reference is empty and has no volume to divide by
    reference = measured.tp + measured.fn
    return 100 * (measured.fp - measured.fn) / reference if reference else None


@metric("volume_reference_ml:v1")
def volume_reference_ml(measured: "Measured") -> float | None:
    """Volume of the reference in mL."""
    return (measured.tp + measured.fn) * measured.voxel_ml


@metric("volume_prediction_ml:v1")
def volume_prediction_ml(measured: "Measured") -> float | None:
    """Volume of the prediction in mL; 0 where it is invalid."""
    return (measured.tp + measured.fp) * measured.voxel_ml


@metric("volume_false_ml:v1")
def volume_false_ml(measured: "Measured") -> float | None:
    """Volume of the prediction outside the reference in mL: how large a false organ is."""
    return measured.fp * measured.voxel_ml


@metric("volume_error_ml:v1")
def volume_error_ml(measured: "Measured") -> float | None:
    """Volume error in mL, signed: V_p - V_g, negative where the prediction is too small."""
    if measured.status == "invalid" and not measured.fn:
        return None  # not the 0 mL of a prediction that rightly is empty
    return (measured.fp - measured.fn) * measured.voxel_ml


@metric("volume_abs_error_ml:v1")
def volume_abs_error_ml(measured: "Measured") -> float | None:
    """Absolute volume error in mL: |V_p - V_g|."""
    signed = volume_error_ml(measured)
    return None if signed is None else abs(signed)


@metric("lesions_reference:c26:v1")
def lesions_reference(measured: "Measured") -> float | None:
    """Lesions of the reference: parts joined by faces, edges or corners."""
    return measured.lesions.reference


@metric("lesions_prediction:c26:v1")
def lesions_prediction(measured: "Measured") -> float | None:
    """Lesions of the prediction; 0 where it is invalid."""
    return measured.lesions.prediction


@metric("lesions_detected:c26:v1")
def lesions_detected(measured: "Measured") -> float | None:
    """Lesions of the reference that share a voxel with the prediction."""
    return measured.lesions.detected


@metric("lesions_false:c26:v1")
def lesions_false(measured: "Measured") -> float | None:
    """Lesions of the prediction that share no voxel with the reference."""
    return measured.lesions.prediction - measured.lesions.confirmed


@metric("lesion_sensitivity:c26:v1")
def lesion_sensitivity(measured: "Measured") -> float | None:
    """Share of the reference's lesions that are detected."""
    return _share(measured.lesions.detected, measured.lesions.reference)


@metric("lesion_precision:c26:v1")
def lesion_precision(measured: "Measured") -> float | None:
    """Share of the predicted lesions that are not false."""
    return _share(measured.lesions.confirmed, measured.lesions.prediction)


@metric("lesion_f1:c26:v1")
def lesion_f1(measured: "Measured") -> float | None:
    """Harmonic mean of lesion sensitivity and precision; 0 where nothing is detected."""
    found, right = lesion_sensitivity(measured), lesion_precision(measured)
    return 2 * found * right / (found + right) if found and right else 0.0


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _larger(measured: "Measured", of: Callable[["Distances"], float]) -> float | None:
    g, p = measured.distances_reference, measured.distances_prediction
    return None if g is None or p is None else max(of(g), of(p))
