"""Files of one made-up scanner series: DICOM slices (explicit VR, little endian, uncompressed) and label PNGs."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from converters.phantoms.abdomen import Grid
from converters.phantoms.mark import TOKEN

if TYPE_CHECKING:
    from pydicom import Dataset

_CT, _MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"


@dataclasses.dataclass(frozen=True)
class Series:
    """One stack of slices: whose it is, where it lies, how its files are numbered."""

    patient: str  # PatientName
    study: str  # what the UIDs of patient and study are made from
    name: str  # what the UID of the series is made from; shared by series that claim to be one
    modality: str
    grid: Grid
    middle: tuple[float, float, float]  # the body's middle in patient coordinates, mm
    descending: bool  # the first file is the uppermost slice
    tags: Mapping[str, object]  # further attributes by keyword

    @property
    def ranks(self) -> tuple[int, ...]:
        """For each slice from foot to head its place, from 0, in the order of file names."""
        ranks = range(self.grid.shape[2])
        return tuple(reversed(ranks)) if self.descending else tuple(ranks)

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """(4, 4), (column, row, slice) index -> RAS mm; slices counted from foot to head."""
        lps = np.eye(4)
        lps[:3, :3] = self.grid.axes().T * self.grid.spacing
        lps[:3, 3] = np.add(self.middle, self.grid.origin)
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def write_series(folder: Path, series: Series, stored: npt.NDArray[np.uint16], names: Sequence[str]) -> None:
    """Write one file per slice.

    Args:
        folder: made if absent.
        series: what stands in every header.
        stored: (columns, rows, slices), the values as the file holds them, before any rescaling.
        names: file names in the order of `ranks`.
    """
    from pydicom import dcmwrite

    folder.mkdir(parents=True, exist_ok=True)
    dataset = _header(series)
    columns, rows, slices = series.grid.axes()
    first = np.add(series.middle, series.grid.origin)
    dataset.ImageOrientationPatient = [f"{value:.9f}" for value in (*columns, *rows)]
    for k, rank in enumerate(series.ranks):
        position = first + k * series.grid.spacing[2] * slices
        uid = _uid(series.study, series.name, names[rank])
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = uid
        dataset.InstanceNumber = rank + 1
        dataset.ImagePositionPatient = [f"{value:.6f}" for value in position]
        dataset.SliceLocation = f"{60 - position[2]:.3f}"  # runs opposite to z, as in the real set
        dataset.PixelData = np.ascontiguousarray(stored[:, :, k].T).astype("<u2").tobytes()
        dcmwrite(folder / names[rank], dataset, enforce_file_format=True)


def write_labels(
    folder: Path, label: npt.NDArray[np.uint8] | npt.NDArray[np.bool_], series: Series, names: Sequence[str]
) -> None:
    """Write one PNG per slice: 8 bit for grey values, 1 bit where the label is boolean.

    Shape: label (columns, rows, slices); names in the order of `ranks`.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    folder.mkdir(parents=True, exist_ok=True)
    mark = PngInfo()
    mark.add_text("Source", TOKEN)
    for k, rank in enumerate(series.ranks):
        Image.fromarray(np.ascontiguousarray(label[:, :, k].T)).save(folder / names[rank], pnginfo=mark)


def _header(series: Series) -> "Dataset":
    """Everything that all slices of a series share."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = _CT if series.modality == "CT" else _MR
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    meta.ImplementationVersionName = "FRUGALSEG"  # not the library's version: the bytes must not follow it
    dataset = Dataset()
    dataset.file_meta = meta
    columns, rows, _ = series.grid.shape
    common: dict[str, object] = {
        "SpecificCharacterSet": "ISO_IR 100",
        "SOPClassUID": meta.MediaStorageSOPClassUID,
        "StudyDate": "",
        "StudyTime": "133000",
        "Modality": series.modality,
        "Manufacturer": TOKEN,
        "PatientName": series.patient,
        "PatientID": "",
        "PatientBirthDate": "",
        "PatientSex": "",
        "PatientPosition": "HFS",
        "StudyInstanceUID": _uid(series.study),
        "SeriesInstanceUID": _uid(series.study, series.name, "series"),
        "FrameOfReferenceUID": _uid(series.study, "frame"),
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": rows,
        "Columns": columns,
        "PixelSpacing": [f"{series.grid.spacing[1]:.4f}", f"{series.grid.spacing[0]:.4f}"],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
    }
    for keyword, value in {**common, **series.tags}.items():
        setattr(dataset, keyword, value)
    return dataset


def _uid(*parts: str) -> str:
    from pydicom.uid import generate_uid

    return str(generate_uid(entropy_srcs=[TOKEN, *parts]))
