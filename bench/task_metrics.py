"""What a predicted value or image is worth: definition id -> value. `docs/tasks.md` has every definition."""

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from converters.files import digest
from leaderboards.tasks import ACCURACY, GUESSED, PROBABILITY, PSNR, PSNR_MOST, SSIM, TRUTH

Image = npt.NDArray[np.float32]
Values = dict[str, float | None]

_AGAINST = {"linear": "psnr_db_linear:v2", "mean_image": "psnr_db_mean_image:v2"}  # what an image is compared with
DEFINITIONS = (
    *(ACCURACY, GUESSED, PROBABILITY, TRUTH),
    *("absolute_error:v1", "constant_absolute_error:v1", "error:v1", "truth:v1"),  # each with its unit
    *(PSNR, SSIM, *_AGAINST.values()),
)
_SIGMA = 1.5  # voxels, of the Gaussian window
_RADIUS = 5  # of the window: 11 voxels along each axis
_K1, _K2 = 0.01, 0.03


def version() -> str:
    """Digest of all definition ids: another one where a metric was added, removed or redefined."""
    return digest(sorted(DEFINITIONS))[:12]


def most_frequent(values: Iterable[str]) -> str:
    """The class that most values are; of several the first in order."""
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def of_class(truth: str, label: str, guess: str, said: tuple[str, Mapping[str, float]] | None) -> Values:
    """One class of a case.

    Args:
        truth: the class the case is of.
        label: the class these are the values of.
        guess: what the constant predictor says of every case.
        said: the predicted class, and the probability of each; None where there is no valid prediction.
    """
    return {
        ACCURACY: None if said is None else float(said[0] == truth),
        PROBABILITY: None if said is None else float(said[1].get(label, 0.0)),
        TRUTH: float(label == truth),
        GUESSED: float(guess == truth),
    }


def of_number(truth: float, constant: float, unit: str, said: float | None) -> Values:
    """One number of a case; `constant` is what the constant predictor says of every case."""
    return {
        f"absolute_error_{unit}:v1": None if said is None else abs(said - truth),
        f"error_{unit}:v1": None if said is None else said - truth,
        f"truth_{unit}:v1": float(truth),
        f"constant_absolute_error_{unit}:v1": abs(constant - truth),
    }


def of_image(reference: Image, against: Image, name: str, said: Image | None) -> Values:
    """One channel of a case; `against` is what the method called `name` makes of it. Shape: (X, Y, Z) each."""
    return {
        PSNR: None if said is None else psnr(reference, said),
        SSIM: None if said is None else ssim(reference, said),
        _AGAINST[name]: psnr(reference, against),
    }


def median(values: Sequence[float]) -> float:
    """What the constant predictor says: of all constants the one with the least mean absolute error."""
    return float(statistics.median(values))


def psnr(reference: Image, image: Image) -> float:
    """Peak signal-to-noise ratio in dB, 10 log10(L² / MSE) over all voxels, L the range of the reference; 0 to 100.

    Where the reference is of one value, and has no range, an equal image has 100 and any other 0.
    """
    error = float(np.mean(np.square(reference.astype(np.float64) - image)))
    span = float(np.ptp(reference))
    if error == 0 or span == 0:
        return PSNR_MOST if error == 0 else 0.0
    return min(max(10 * math.log10(span * span / error), 0.0), PSNR_MOST)


def ssim(reference: Image, image: Image) -> float:
    """Structural similarity; Wang et al., IEEE TIP 2004: mean of the map of eq. 13.

    Gaussian window of sigma 1.5 voxels, 11 voxels along each axis, in three dimensions (two where there is one slice);
    K1 = 0.01, K2 = 0.03, L the range of the reference, variances over n. Means are over voxels whose window lies
    inside; along an axis shorter than a window it is mirrored at the edge, and no voxel is left out.
    """
    x, y = np.squeeze(reference).astype(np.float64), np.squeeze(image).astype(np.float64)
    span = float(np.ptp(x))
    c1, c2 = (max(k * span, 1e-12) ** 2 for k in (_K1, _K2))
    ux, uy = _blurred(x), _blurred(y)
    vx, vy, vxy = _blurred(x * x) - ux * ux, _blurred(y * y) - uy * uy, _blurred(x * y) - ux * uy
    found = ((2 * ux * uy + c1) * (2 * vxy + c2)) / ((ux * ux + uy * uy + c1) * (vx + vy + c2))
    inner = tuple(slice(_RADIUS, n - _RADIUS) if n > 2 * _RADIUS else slice(None) for n in found.shape)
    return float(np.clip(found[inner].mean(), -1.0, 1.0))


def _blurred(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(values, _SIGMA, mode="reflect", radius=_RADIUS))
