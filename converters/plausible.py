"""Whether a label can belong to its image: last guards against files that were reordered, mirrored or swapped.

Each is wide enough for every healthy abdomen and far from what a wrong pairing gives. They refuse; they never repair.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError
from converters.volume import Volume

LIVER_HU = (60, 220)  # mean of a liver in the portal venous phase; the same case paired wrongly gave 36
_MEND = "image and label files were reordered, mirrored or mixed: restore the original names and folders"


def check_liver(image: Volume, label: Volume, where: Path) -> None:
    """Refuse a liver label over CT that holds other than liver.

    Raises:
        BenchError: the label is empty, its mean outside 60..220 HU, or more than 5 % of it, which is more than
            the rim towards the lung, below -200 HU.
    """
    inside = _inside(image, label, where)
    mean, air = float(inside.mean()), float((inside < -200).mean())
    if not LIVER_HU[0] <= mean <= LIVER_HU[1] or air > 0.05:
        raise BenchError(
            f"inside the liver label the mean is {mean:.0f} HU and {air:.1%} lies below -200 HU; "
            f"a liver has {LIVER_HU[0]} to {LIVER_HU[1]} HU",
            where=where,
            mend=_MEND,
        )


def check_body(image: Volume, label: Volume, where: Path) -> None:
    """Refuse a label that lies in the air around the body.

    Raises:
        BenchError: the label is empty, or less than 5 % of it is brighter than a tenth of the image's bright tissue.
    """
    inside = _inside(image, label, where)
    bright = np.percentile(image.array.astype(np.float32), 99) / 10
    if (inside > bright).mean() < 0.05:
        raise BenchError("the label does not overlap the body", where=where, mend=_MEND)


def check_abdomen(label: Volume, where: Path) -> None:
    """Refuse organs on the wrong side, of a label with 1 liver, 2 right kidney, 3 left kidney, 4 spleen.

    The liver lies right of the spleen and above the kidneys, by centroids in RAS mm; absent organs are not asked.

    Raises:
        BenchError: one of these does not hold.
    """
    liver, right, left, spleen = (_centroid(label, code) for code in (1, 2, 3, 4))
    rules = {
        "the right kidney lies left of the left kidney": (right, left, 0),
        "the liver lies left of the spleen": (liver, spleen, 0),
        "the liver lies below the right kidney": (liver, right, 2),
        "the liver lies below the left kidney": (liver, left, 2),
    }
    for broken, (more, less, axis) in rules.items():
        if more is not None and less is not None and more[axis] <= less[axis]:
            raise BenchError(f"in the label {broken}", where=where, mend=_MEND)


def _inside(image: Volume, label: Volume, where: Path) -> npt.NDArray[np.float32]:
    inside: npt.NDArray[np.float32] = image.array[label.array.astype(bool)].astype(np.float32)
    if not inside.size:
        raise BenchError("the label is empty", where=where, mend="unpack the archive again")
    return inside


def _centroid(label: Volume, code: int) -> npt.NDArray[np.float64] | None:
    found = np.nonzero(label.array == code)
    if not found[0].size:
        return None
    place: npt.NDArray[np.float64] = label.affine @ np.array([*(axis.mean() for axis in found), 1.0])
    return place
