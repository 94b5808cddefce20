"""The scanner settings that may leave a DICOM file: an allow-list, of numbers and closed sets of words.

Free text, dates, identifiers, stations and institutions have no way out: a number is parsed and written again, a word
is taken from the list here and never copied from the file.
"""

import math
from collections.abc import Mapping, Sequence

from converters.dicom_tags import Tags, text

NUMBERS = (
    "EchoTime",
    "EchoTrainLength",
    "ExposureTime",
    "FlipAngle",
    "InversionTime",
    "KVP",
    "MagneticFieldStrength",
    "NumberOfAverages",
    "PixelBandwidth",
    "RepetitionTime",
    "SliceThickness",
    "SpacingBetweenSlices",
    "XRayTubeCurrent",
)
WORDS = {
    "MRAcquisitionType": ("2D", "3D"),
    "Modality": ("CT", "MR", "PT", "DX", "CR"),
    "ScanningSequence": ("SE", "IR", "GR", "EP", "RM"),
}
_APART = {"CT", "MR", "PT"}  # what a network of one says of another is worth nothing; DX and CR are both X-rays
# The name alone: models and firmware, which come in free text, can single out a site.
_MAKERS = ("Canon", "Fujifilm", "GE", "Hitachi", "Philips", "Siemens", "Toshiba", "United Imaging")


def acquisition(slices: Sequence[Tags]) -> dict[str, str | float]:
    """Settings that every slice of a series shares, by DICOM keyword; one that varies or is broken is left out."""
    found: dict[str, str | float] = {}
    for keyword in (*NUMBERS, *WORDS, "Manufacturer"):
        shared = {text(tags, keyword) for tags in slices}
        value = _parsed(keyword, shared.pop()) if len(shared) == 1 else None
        if value is not None:
            found[keyword] = value
    return found


def other_modality(acquisition: Mapping[str, str | float], channel: str) -> str:
    """The modality of a file that is not its channel's, in DICOM's codes; "" where they agree or one is unknown."""
    found = str(acquisition.get("Modality", "OT"))
    apart = found != channel and {found, channel} & _APART and not {found, channel} & {"", "OT"}
    return found if apart else ""


def _parsed(keyword: str, value: str) -> str | float | None:
    if keyword in NUMBERS:
        try:
            number = float(value)
        except ValueError:
            return None
        return number if math.isfinite(number) else None
    if keyword in WORDS:
        return value if value in WORDS[keyword] else None
    return next((maker for maker in _MAKERS if value.upper().startswith(maker.upper())), None)
