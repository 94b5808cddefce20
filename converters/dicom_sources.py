"""The images that a DICOM Segmentation refers to: their headers, and which frame stands for which slice of a series."""

from typing import Any

from converters.dicom import Series
from converters.dicom_frames import count_frames

# What a file must have and may leave empty (type 2); anonymised ones often lack it.
_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
)


def headers(series: Series) -> list[Any]:
    """Of each slice, or of the one file that holds all."""
    from pydicom import dcmread

    return [dcmread(path, stop_before_pixels=True, force=True) for path in dict.fromkeys(series.files)]


def sources(series: Series) -> list[Any]:
    """The headers that a segmentation repeats, with what highdicom wants of them and DICOM does not."""
    from pydicom.valuerep import DS

    found = headers(series)
    for source in found:
        for keyword in _EMPTY:
            if keyword not in source:
                setattr(source, keyword, "")
        for measures in _measures(source):
            if measures.get("SliceThickness") is None:
                measures.SliceThickness = DS(series.volume.spacing[2], auto_format=True)
    return found


def frames_of(series: Series) -> list[int]:
    """For each slice the frame that stands for it: its place among the files, or in the one file."""
    return list(series.frames) if _in_one_file(series) else list(range(len(series.files)))


def frame_count(series: Series) -> int:
    """The slices, or the frames of the one file, of which a series with a gap lacks some."""
    return count_frames(series.files[0]) if _in_one_file(series) else len(series.files)


def _measures(source: Any) -> list[Any]:
    """Where a header says how thick its slices are: in what the frames of an enhanced file share, or at its top."""
    if "SharedFunctionalGroupsSequence" not in source:
        return [source]
    shared = source.SharedFunctionalGroupsSequence
    return [measures for group in shared for measures in group.get("PixelMeasuresSequence") or ()]


def _in_one_file(series: Series) -> bool:
    return len(set(series.files)) < len(series.files)
