"""The mark that every made-up file carries, so that a phantom can never pass for real data."""

import zlib
from pathlib import Path

TOKEN = "frugalseg-phantom"
_HEAD = 65536  # bytes read: a DICOM's patient and equipment groups, a PNG's text chunks, a text file
_NIFTI_HEADER = 348


def is_phantom(path: Path) -> bool:
    """True when the file says it is made up; reads its first 64 KiB at most.

    The token stands in Manufacturer of a DICOM, in `descrip` of a NIfTI header, in a tEXt chunk of a PNG, as big-endian
    16-bit numbers in a raw image, or anywhere near the start of another file. A file that cannot be gunzipped holds no
    token: the reader that comes after says what is wrong with it.
    """
    with path.open("rb") as handle:
        head = handle.read(_HEAD)
    if head[:2] == b"\x1f\x8b":
        try:
            head = zlib.decompressobj(wbits=31).decompress(head, _NIFTI_HEADER)
        except zlib.error:
            return False
    return TOKEN.encode() in head or TOKEN.encode("utf-16-be") in head
