"""Reading, for programs: a picture, the frames of a series or a volume; images with the labels drawn on them."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from converters import export
from converters.conform import check_grids
from converters.dataset import Case, Dataset
from converters.description import Channel
from converters.errors import UsageError
from converters.folder_config import RGB
from converters.given import Given, Reading, each_frame, load_given
from converters.inputs import Inputs, info_of
from converters.volume import Volume, to_ras

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image and what was drawn on it: of a case, or of one of its slices.

    Shape: image (C, X, Y, Z) as stored, label (X, Y, Z) uint8 with 255 where nobody annotated, in RAS+; of a slice
    without the axis along which the case was stacked. `spacing` in mm along the axes of the label.
    """

    case: Case
    image: Array
    label: npt.NDArray[np.uint8] | None
    spacing: tuple[float, ...]
    slice: int | None = None

    def slices(self) -> Iterator["Pair"]:
        """Its slices, in order along the axis in which the case was stacked."""
        axis = self.case.geometry.slice_axis
        spacing = tuple(mm for number, mm in enumerate(self.spacing) if number != axis)
        for number in range(self.image.shape[axis + 1]):
            image = np.take(self.image, number, axis + 1)
            label = None if self.label is None else np.take(self.label, number, axis)
            yield Pair(self.case, image, label, spacing, number)


def pair(dataset: Dataset, case: Case, annotations: str = "") -> Pair:
    """A case with its reference label, or with that of an annotation set; every voxel is held against its digest.

    Raises:
        UsageError: the case was not annotated in that way.
        BenchError: a file is damaged, or not the one its sidecar names.
    """
    drawn = case.label
    if annotations:
        if annotations not in case.annotations:
            known = ", ".join(case.annotations) or "none"
            raise UsageError(f"{case.id} has no annotations '{annotations}'", mend=f"it has: {known}")
        drawn = case.annotations[annotations]
    image = np.stack([export.voxels(dataset, part).array for part in case.images.values()])
    label = None if drawn is None else np.asarray(export.voxels(dataset, drawn).array, np.uint8)
    return Pair(case, image, label, case.geometry.spacing_mm)


def pairs(dataset: Dataset, annotations: str = "") -> Iterator[Pair]:
    """Every case in turn, read when it is asked for; `dataset.only(subjects)` picks some.

    Raises:
        UsageError: see `pair`.
        BenchError: see `pair`.
    """
    for case in dataset.cases:
        yield pair(dataset, case, annotations)


def series(dataset: Dataset) -> dict[str, tuple[Case, ...]]:
    """The cases of each subject in order: the frames of a series, the phases of a heart, the visits of a person."""
    return {subject: dataset.only((subject,)).cases for subject in dataset.subjects}


def read_images(
    path: Path, ndim: Literal[2, 3] = 3, *, rgb: bool = False, spacing: tuple[float, ...] = ()
) -> list[Mapping[str, Volume]]:
    """What a file of any kind holds, in RAS+: one image, or with `ndim` 2 every frame of a file of many.

    Args:
        path: NIfTI, MHA, NRRD, PNG, JPEG, TIFF, BMP, DICOM; or the folder of a DICOM series.
        ndim: 2 for pictures, 3 for volumes.
        rgb: three channels of a picture in colours.
        spacing: mm along columns, rows and pages, of files that say nothing of it.

    Returns:
        Of each image its channels: `image`, or `red`, `green`, `blue`.

    Raises:
        BenchError: the file is damaged, says too little, or holds the other kind.
    """
    names = RGB if rgb else ("image",)
    channels = tuple(Channel(name=name, modality="OT") for name in names)
    inputs = Inputs(dataset="files", ndim=ndim, channels=channels, labels={"background": 0})
    reading = Reading(spacing=spacing)
    found: list[Mapping[str, Volume]] = []
    for given in each_frame([Given(path.name, {"image": path})], inputs):
        loaded = load_given(given, inputs, reading)
        check_grids(info_of(inputs), loaded)
        found.append({name: to_ras(volume)[0] for name, volume in loaded.images.items()})
    return found
