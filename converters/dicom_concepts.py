"""What structures are called in DICOM: labels and codes that no two of them share, whatever else a file holds."""

import re
from collections.abc import Mapping

from converters.description import LabelInfo
from converters.files import sha256

SCHEME = "99FRUGALSEG"  # of structures without a concept
SCT = "SCT"
TEXT = 64  # letters of a label, and of the meaning of a code (LO)
_CODE = 16  # letters of a code (SH)
_DIGITS = 16  # of the hash of a name
_CONTROL = re.compile(r"[\\\x00-\x1f\x7f]")  # a backslash would divide the text in two values


def concept(name: str, info: Mapping[str, LabelInfo]) -> tuple[str, str, str]:
    """Code, scheme and meaning of a structure; the meaning is its label, too.

    A name that does not fit stands for itself by the hash of all its letters: cut names would be those of others.
    """
    known = info.get(name)
    if known and known.snomed:
        return known.snomed, SCT, _label(name)
    return name if _fits(name, _CODE) else _hash(name), SCHEME, _label(name)


def _label(name: str) -> str:
    if _fits(name, TEXT):
        return name
    start = _CONTROL.sub(" ", name)[: TEXT - _DIGITS - 1].strip()
    return f"{start} {_hash(name)}"


def _fits(name: str, letters: int) -> bool:
    """Whether DICOM keeps the text as it is; blanks at its ends do not count there."""
    return len(name) <= letters and name == name.strip() and not _CONTROL.search(name)


def _hash(name: str) -> str:
    return sha256(name.encode())[:_DIGITS]
