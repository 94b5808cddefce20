"""A small made-up series on disk, into which a test puts one fault."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

ROWS, COLUMNS, SLICES = 32, 40, 6
SPACING = (0.5, 0.8, 5.0)  # mm between columns, rows, slices
ORIGIN = (-100.0, -50.0, -40.0)  # LPS
PIXEL_BYTES = ROWS * COLUMNS * 2
UID = "1.2.826.0.1.3680043.8.498."  # pydicom's own root for made-up UIDs

Change = Callable[[int, Dataset], None]


def values(slices: int = SLICES) -> npt.NDArray[np.int16]:
    """Hounsfield units (slices, rows, columns): air, and a body that is brighter in one corner of each axis."""
    k, j, i = np.indices((slices, ROWS, COLUMNS))
    body = (np.abs(j - 14) < 11) & (np.abs(i - 22) < 15)
    return np.where(body, 40 + 3 * i - 2 * j + 11 * k, -1000 + (i + j + k) % 7).astype(np.int16)


def plane(stored: npt.NDArray[np.generic], position: tuple[float, float, float], number: int, modality: str) -> Dataset:
    """One slice of a series, written with `dataset.save_as`; `stored` unsigned 16 bit (rows, columns)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage if modality == "CT" else MRImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[modality, str(number), str(position)])
    dataset.SeriesInstanceUID = UID + "7"
    dataset.StudyInstanceUID = UID + "6"
    dataset.PatientID, dataset.PatientName = "P1", "Made^Up"
    dataset.Modality = modality
    dataset.InstanceNumber = number + 1
    dataset.ImagePositionPatient = list(position)
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [SPACING[1], SPACING[0]]
    dataset.SliceThickness = SPACING[2]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    if modality == "CT":
        dataset.RescaleSlope, dataset.RescaleIntercept, dataset.KVP = 1, -1024, 120
    else:
        dataset.EchoTime, dataset.RepetitionTime, dataset.FlipAngle = 4.6, 110, 80
    dataset.PixelData = stored.astype("<u2").tobytes()
    return dataset


def write_series(
    folder: Path, change: Change | None = None, *, modality: str = "CT", slices: int = SLICES, stem: str = "i"
) -> list[Path]:
    """Write the series as `i0000.dcm` ... from the feet up; `change` may spoil each data set before it is saved."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, hu in enumerate(values(slices)):
        dataset = plane(hu + 1024, (ORIGIN[0], ORIGIN[1], ORIGIN[2] + k * SPACING[2]), k, modality)
        if change is not None:
            change(k, dataset)
        paths.append(folder / f"{stem}{k:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


CLEAN = values().transpose(2, 1, 0)  # what a good series must give, (columns, rows, slices)


def only(index: int, change: Callable[[Dataset], None]) -> Change:
    """A change of one slice alone."""
    return lambda k, dataset: change(dataset) if k == index else None


def move(x: float = 0, z: float = 0) -> Callable[[Dataset], None]:
    """A shift of the position in mm."""

    def change(dataset: Dataset) -> None:
        position = dataset.ImagePositionPatient
        dataset.ImagePositionPatient = [position[0] + x, position[1], position[2] + z]

    return change


def put(**tags: object) -> Callable[[Dataset], None]:
    """These tags set to these values."""
    return lambda dataset: dataset.update(tags)


def drop(*keywords: str) -> Change:
    """A series without these tags."""

    def change(_: int, dataset: Dataset) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change
