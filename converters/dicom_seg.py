"""Label maps as DICOM Segmentation objects of the series they were drawn on; needs the extra [dicomseg].

BINARY segments, one for each structure, so that structures may overlap. A structure with a SNOMED CT concept in the
dataset's description is coded by it, others by their name in a scheme of this suite (CID 7150 gives the category).
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.description import LabelInfo
from converters.dicom import Series
from converters.dicom_concepts import SCT, TEXT, concept
from converters.dicom_sources import frame_count, frames_of, headers, sources
from converters.dicom_tags import quiet
from converters.errors import BenchError, EnvironmentFault
from converters.files import replacing
from converters.volume import Volume

_ANATOMY = ("123037004", SCT, "Anatomical Structure")
Masks = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What is in a label map, and what drew it.

    Attributes:
        structures: name -> its code, or the codes of an overlapping region; no background.
        info: SNOMED CT concepts, by name.
        algorithm: what drew it, such as the method; stands in every segment.
        version: of that, such as a digest of the weights.
    """

    structures: Mapping[str, int | tuple[int, ...]]
    info: Mapping[str, LabelInfo]
    algorithm: str
    version: str


@quiet()
def write_segmentation(path: Path, labels: Volume, series: Series, drawn: Drawn) -> None:
    """Write a label map as the segmentation of its series, and read it back before it takes its place.

    It carries the patient and the study of the series, as DICOM has it: an identity, where the series has one.

    Args:
        path: of the file.
        labels: on the grid of the series, in its order (columns, rows, slices).
        series: as `read_series` gives it.
        drawn: what the codes mean.

    Raises:
        BenchError: the label map lies elsewhere, the series lacks what a segmentation must repeat, or what was written
            reads back otherwise.
        EnvironmentFault: highdicom is not installed.
    """
    highdicom = library()
    if not labels.same_grid(series.volume):
        raise BenchError("the label map is not on the grid of the series", where=series.files[0].parent)
    masks = _masks(labels, series, drawn)
    mend = "take the series as the scanner wrote it, or --to nifti"
    with _told("no segmentation of this series can be made", series.files[0].parent, mend):
        made = _segmentation(highdicom, sources(series), masks, drawn)
        with replacing(path) as temporary:
            made.save_as(temporary)
            kept = highdicom.seg.segread(temporary)
            if _named(kept) != _names(drawn) or not np.array_equal(_read(kept, series), masks):
                raise BenchError("the segmentation reads back otherwise than written", where=path, mend="--to nifti")


@quiet()
def read_segmentation(path: Path, series: Series) -> dict[str, Volume]:
    """The structures of a segmentation as masks (0 and 1) on the grid of its series, by label.

    Raises:
        BenchError: it is no segmentation, or of another series.
        EnvironmentFault: highdicom is not installed.
    """
    highdicom = library()
    with _told(f"{path.name}: no segmentation of this series", path):
        made = highdicom.seg.segread(path)
        names = [label for label, *_ in _named(made)]
        found = _read(made, series)
    frames = frames_of(series)
    masks = found.transpose(3, 2, 1, 0)  # (structure, columns, rows, frames)
    return {
        name: Volume(np.ascontiguousarray(mask[..., frames]), series.volume.affine)
        for name, mask in zip(names, masks, strict=True)
    }


def library() -> Any:
    """The package highdicom.

    Raises:
        EnvironmentFault: it is not installed.
    """
    try:
        import highdicom
    except ModuleNotFoundError:
        raise EnvironmentFault(
            "DICOM segmentations need the package highdicom", mend="pip install 'frugalseg[dicomseg]'"
        ) from None
    return highdicom


@contextlib.contextmanager
def _told(what: str, where: Path, mend: str | None = None) -> Iterator[None]:
    """Tell what pydicom and highdicom raise on a header that they do not take: `what`, and why."""
    try:
        yield
    except BenchError:
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise BenchError(f"{what}: {error}", where=where, mend=mend) from error


def _masks(labels: Volume, series: Series, drawn: Drawn) -> Masks:
    """Shape: (frames, rows, columns, structures), 0 and 1; frames without a slice of the volume are empty."""
    columns, rows, _ = labels.shape
    order = frames_of(series)
    masks = np.zeros((frame_count(series), rows, columns, len(drawn.structures)), np.uint8)
    for number, codes in enumerate(drawn.structures.values()):
        inside = np.isin(labels.array, codes if isinstance(codes, tuple) else (codes,))
        masks[order, :, :, number] = inside.transpose(2, 1, 0)
    return masks


def _segmentation(highdicom: Any, sources: list[Any], masks: Masks, drawn: Drawn) -> Any:
    from pydicom.sr.codedict import codes

    uid = highdicom.UID
    made = highdicom.seg.Segmentation(
        source_images=sources,
        pixel_array=masks,
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[
            highdicom.seg.SegmentDescription(
                segment_number=number,
                segment_label=label,
                segmented_property_category=highdicom.sr.CodedConcept(*_ANATOMY),
                segmented_property_type=highdicom.sr.CodedConcept(*code),
                algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=highdicom.AlgorithmIdentificationSequence(
                    name=drawn.algorithm[:TEXT],
                    family=codes.DCM.ArtificialIntelligence,
                    version=drawn.version[:TEXT],
                ),
            )
            for number, (label, *code) in enumerate(_names(drawn), 1)
        ],
        series_instance_uid=uid(),
        series_number=100,
        sop_instance_uid=uid(),
        instance_number=1,
        manufacturer="frugalseg",
        manufacturer_model_name=drawn.algorithm[:TEXT],
        software_versions=drawn.version[:TEXT],
        device_serial_number="0",
        specific_character_set="ISO_IR 192",
    )
    # What is in sequences of the series still has its bytes, which the other character set would misread.
    for _ in made.iterall():
        pass
    return made


def _names(drawn: Drawn) -> list[tuple[str, ...]]:
    """Of each structure the label, and code, scheme and meaning."""
    codes = [concept(name, drawn.info) for name in drawn.structures]
    return [(meaning, code, scheme, meaning) for code, scheme, meaning in codes]


def _named(made: Any) -> list[tuple[str, ...]]:
    """The same of each segment of a file."""
    segments = [made.get_segment_description(number) for number in made.segment_numbers]
    codes = [(one.segmented_property_type, one.segment_label) for one in segments]
    return [(label, code.value, code.scheme_designator, code.meaning) for code, label in codes]


def _read(made: Any, series: Series) -> Masks:
    """The masks of a file, as `_masks` makes them."""
    uids = [source.SOPInstanceUID for source in headers(series)]
    how = {
        "segment_numbers": list(made.segment_numbers),
        "assert_missing_frames_are_empty": True,
        "ignore_spatial_locations": True,
    }
    if len(uids) == 1:
        frames = range(1, frame_count(series) + 1)
        found = made.get_pixels_by_source_frame(uids[0], frames, **how)
    else:
        found = made.get_pixels_by_source_instance(uids, **how)
    return np.asarray(found, np.uint8)
