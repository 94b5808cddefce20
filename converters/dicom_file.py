"""One DICOM file as checked facts and stored pixels: the slices a series is built of.

The header is parsed by pydicom up to the pixels, which are then taken from the bytes in hand without a copy; only
compressed or big-endian files go through its full parser.
"""

import dataclasses
import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import dcmread

from converters.dicom_pixels import Pixels, layout, stored_pixels
from converters.dicom_tags import Tags, named, number, required, tag_of, text
from converters.errors import BenchError
from converters.files import is_junk, read

MAX_FILE_BYTES = 4 << 30
_IMAGE_SUFFIXES = {".dcm", ".dicom", ".ima", ""}
_DIRECTORY_CLASS = "1.2.840.10008.1.3.10"  # a DICOMDIR: an index, no image
_NO_IMAGES = {"KO", "PR", "SR"}  # key objects, presentation states and reports lie beside the images
_DEFLATED = b"1.2.840.10008.1.2.1.99"


@dataclasses.dataclass(frozen=True)
class Slice:
    """One image plane. Identities are held only to compare slices; nothing here is ever written.

    Shape: pixels (rows, columns) as stored, before the rescale; orientation (2, 3), the directions in which the column
    and the row index grow; position of the first pixel, both in DICOM's LPS mm; spacing between rows, columns.
    """

    path: Path
    frame: int
    uid: str
    series: str
    patient: tuple[str, str]
    modality: str
    photometric: str
    position: npt.NDArray[np.float64]
    orientation: npt.NDArray[np.float64]
    spacing: tuple[float, float]
    rescale: tuple[float, float] | None  # slope, intercept
    stored_range: tuple[int, int]  # what the stored bits can hold
    pixels: Pixels
    tags: Tags
    preamble: bool


Slices = tuple[Slice, ...]


def read_slices(path: Path, *, stand_in: Tags = ()) -> Slices:
    """The image planes of a file, more than one in an enhanced multi-frame file; none if it is no DICOM image.

    Tags of `stand_in` count before those of the file.

    Raises:
        BenchError: the file is empty, cut, or lacks a fact without which its pixels have no place or unit.
        EnvironmentFault: its pixels are compressed and no decoder is installed.
    """
    try:
        return () if is_junk(Path(path.name)) else _read_slices(path, stand_in)
    except BenchError:
        raise
    except Exception as error:  # a broken header can raise nearly anything in pydicom, and its text may quote a name
        if isinstance(error, OSError) and error.errno is not None:  # of the machine; pydicom's own have no number
            raise
        raise BenchError(
            f"{path.name}: the header is broken ({type(error).__name__})", where=path, mend="download it again"
        ) from None


def _read_slices(path: Path, stand_in: Tags) -> Slices:
    data = _read(path)
    preamble = data[128:132] == b"DICM"
    # Without the preamble a data set begins with a tag of group 2 or 8, lowest byte first.
    if not preamble and data[:2] not in (b"\x02\x00", b"\x08\x00"):
        if path.suffix.lower() in _IMAGE_SUFFIXES:
            raise BenchError(
                "this is no DICOM file", where=path, mend="download it again, or take it out of the folder"
            )
        return ()
    if _DEFLATED in data[:2048]:
        raise BenchError(
            "deflated DICOM is not read", where=path, mend="save it uncompressed, as Explicit VR Little Endian"
        )
    dataset, offset = _parse(data)
    meta = getattr(dataset, "file_meta", None)
    if str(getattr(meta, "MediaStorageSOPClassUID", "")) == _DIRECTORY_CLASS:
        return ()
    if text((dataset,), "Modality") in _NO_IMAGES and "Rows" not in dataset:
        return ()
    planes = layout(dataset, path)
    pixels = stored_pixels(data, offset, planes, path)
    return tuple(
        _slice(path, frame, (*stand_in, *_sources(dataset, frame, path)), pixels[frame], preamble)
        for frame in range(planes.frames)
    )


def _read(path: Path) -> bytes:
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise BenchError(f"{size} bytes are too many for one DICOM file", where=path)
    if size == 0 and path.suffix.lower() in _IMAGE_SUFFIXES:
        raise BenchError(f"{path.name}: the file is empty", where=path, mend="download it again")
    return read(path)


def _parse(data: bytes) -> tuple[Any, int]:
    """The header, and where the pixels begin."""
    stream = io.BytesIO(data)
    dataset = dcmread(stream, stop_before_pixels=True, force=True)
    return dataset, stream.tell()


def _sources(dataset: Any, frame: int, path: Path) -> Tags:
    """Where a frame's tags may stand: its own functional groups, the shared ones, the top of the file."""
    own = getattr(dataset, "PerFrameFunctionalGroupsSequence", None) or ()
    shared = getattr(dataset, "SharedFunctionalGroupsSequence", None) or ()
    if own and frame >= len(own):
        raise BenchError(f"frame {frame + 1} has no functional group; there are {len(own)}", where=path)
    groups = (*own[frame : frame + 1], *shared[:1])
    macros = [
        element.value[0] for group in groups for element in group if element.VR == "SQ" and len(element.value) == 1
    ]
    return (*macros, dataset)


def _slice(path: Path, frame: int, tags: Tags, pixels: Pixels, preamble: bool) -> Slice:
    modality = text(tags, "Modality")
    if not modality:
        raise BenchError(f"no {named('Modality')}", where=path, mend="export the series again with it")
    top = tags[-1]
    return Slice(
        path=path,
        frame=frame,
        uid=text((top,), "SOPInstanceUID"),
        series=text((top,), "SeriesInstanceUID"),
        patient=(text((top,), "PatientID"), text((top,), "PatientName")),
        modality=modality,
        photometric=text(tags, "PhotometricInterpretation"),
        position=np.array(required(tags, "ImagePositionPatient", 3, path)),
        orientation=_orientation(required(tags, "ImageOrientationPatient", 6, path), path.parent),
        spacing=_spacing(tags, path),
        rescale=_rescale(tags, path),
        stored_range=_stored_range(top),
        pixels=pixels,
        tags=tags,
        preamble=preamble,
    )


@functools.lru_cache(maxsize=64)  # one and the same for all slices of a series
def _orientation(cosines: tuple[float, ...], folder: Path) -> npt.NDArray[np.float64]:
    vectors = np.array(cosines).reshape(2, 3)
    # Written with six decimals or fewer; what is further from orthonormal than this is no rotation.
    if not np.allclose(vectors @ vectors.T, np.eye(2), atol=1e-3):
        raise BenchError(f"{named('ImageOrientationPatient')} is no pair of orthogonal unit vectors", where=folder)
    vectors.flags.writeable = False
    return vectors


def _spacing(tags: Tags, path: Path) -> tuple[float, float]:
    rows, columns = required(tags, "PixelSpacing", 2, path)
    if rows <= 0 or columns <= 0:
        raise BenchError(f"{named('PixelSpacing')} is {rows:g}, {columns:g} mm", where=path)
    return rows, columns


def _rescale(tags: Tags, path: Path) -> tuple[float, float] | None:
    slope, intercept = number(tags, "RescaleSlope", path), number(tags, "RescaleIntercept", path)
    if any(tag_of("ModalityLUTSequence") in source for source in tags):
        raise BenchError("a modality look-up table is not read", where=path, mend="export with RescaleSlope instead")
    if slope is None and intercept is None:
        return None
    if slope is None or intercept is None:
        raise BenchError(f"of {named('RescaleSlope')} and {named('RescaleIntercept')} one is missing", where=path)
    if slope == 0:
        raise BenchError(f"{named('RescaleSlope')} is 0", where=path)
    return slope, intercept


def _stored_range(top: Any) -> tuple[int, int]:
    bits = int(top.BitsStored)
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if int(top.PixelRepresentation) else (0, (1 << bits) - 1)
