"""DICOM pictures that need no place in space: a radiograph, or the frames of a multi-frame file, one by one."""

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread

from converters.dicom import check_same, pixel_remarks
from converters.dicom_acquisition import acquisition
from converters.dicom_file import read_slices
from converters.dicom_tags import quiet, required, text
from converters.dicom_values import filled
from converters.errors import BenchError

_DETECTOR = "ImagerPixelSpacing: the spacing is that at the detector, and lengths in the body are shorter"


@dataclasses.dataclass(frozen=True)
class Frames:
    """The frames of one file, in the order of the file.

    Shape: array (columns, rows, frames), rescaled; spacing between columns, rows in mm, None where the file has none.
    """

    array: npt.NDArray[np.generic]
    spacing: tuple[float, float] | None
    acquisition: dict[str, str | float]
    warnings: tuple[str, ...]


@quiet()
def read_frames(path: Path, frame: int | None = None) -> Frames:
    """Every frame of a file, wherever it may lie; or one of them, counted from 0.

    Raises:
        BenchError: the file is no image, damaged, its frames differ in kind or spacing, or there is no such frame.
        EnvironmentFault: the pixels are compressed and no decoder is installed.
    """
    nowhere = Dataset()
    nowhere.ImagePositionPatient, nowhere.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    nowhere.PixelSpacing = [1, 1]
    slices = read_slices(path, stand_in=(nowhere,))
    if not slices:
        raise BenchError(f"{path.name}: no DICOM image", where=path)
    check_same(slices)
    tags = [s.tags[1:] for s in slices]
    keyword = next((word for word in ("PixelSpacing", "ImagerPixelSpacing") if text(tags[0], word)), None)
    spacings = {required(own, keyword, 2, path) for own in tags} if keyword else set()
    if len(spacings) > 1 or any(min(spacing) <= 0 for spacing in spacings):
        raise BenchError(f"{path.name}: {keyword} is not positive, or differs between frames", where=path)
    if frame is not None and frame >= len(slices):
        raise BenchError(f"{path.name}: {len(slices)} frames; the image has more", where=path)
    array, notes = filled(slices if frame is None else slices[frame : frame + 1])
    told = [*notes, *pixel_remarks(slices), *([_DETECTOR] if keyword == "ImagerPixelSpacing" else [])]
    rows, columns = spacings.pop() if spacings else (0.0, 0.0)
    return Frames(array, (columns, rows) if keyword else None, acquisition(tags), tuple(told))


@quiet()
def count_frames(path: Path) -> int:
    """How many frames the header says the file has; 1 where it says nothing, and what is wrong is found on reading."""
    try:
        return max(1, int(dcmread(path, specific_tags=["NumberOfFrames"], stop_before_pixels=True).NumberOfFrames))
    except Exception:  # a broken header can raise nearly anything in pydicom, and its text may quote a name
        return 1
