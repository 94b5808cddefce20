"""Names, dates and comments of a person planted where each kind of file has room for them: `from planted import plant`.

What stands there already, the mark of the phantoms above all, stays.
"""

import gzip
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

PERSON, DATE, SECRET = "Mustermann^Erika", "19560314", "geheimer Befund"
WORDS = (b"mustermann", b"erika", b"19560314", b"1956-03-14", b"1956", b"geheim", b"befund")
NOTE = f"{PERSON} {DATE} {SECRET}"


def plant(raw: Path) -> set[str]:
    """Plant in every file that has room; gives the kinds of files that were changed."""
    changed = set()
    for path in sorted(path for path in raw.rglob("*") if path.is_file() and not path.name.startswith(".")):
        kind = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
        if change := _PLANTERS.get(kind.lower()):
            path.write_bytes(change(path.read_bytes()))
            changed.add(kind)
    return changed


def _nifti(data: bytes) -> bytes:
    head = bytearray(data[:348])
    offset = int(struct.unpack_from("<f", head, 108)[0])
    mark = bytes(head[148:228]).rstrip(b"\0")
    for at, size, text in ((14, 18, PERSON), (228, 24, NOTE), (328, 16, SECRET)):
        head[at : at + size] = text.encode()[:size].ljust(size, b"\0")
    head[148:228] = (mark + b" " + NOTE.encode())[:80].ljust(80, b"\0")
    body = NOTE.encode().ljust(88, b"\0")
    struct.pack_into("<f", head, 108, offset + 96)
    return bytes(head) + b"\1\0\0\0" + struct.pack("<ii", 96, 6) + body + data[352:]


def _packed(data: bytes) -> bytes:
    return gzip.compress(_nifti(gzip.decompress(data)), 1)


def _png(data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    text = chunk(b"tEXt", b"Comment\0" + NOTE.encode()) + chunk(b"eXIf", _exif())
    return data[:33] + text + data[33:]


def _exif() -> bytes:
    """A TIFF block with one tag, ImageDescription."""
    text = NOTE.encode() + b"\0"
    return b"II*\0" + struct.pack("<IHHHIII", 8, 1, 270, 2, len(text), 26, 0) + text


def _jpeg(data: bytes) -> bytes:
    exif, note = b"Exif\0\0" + _exif(), NOTE.encode()
    parts = [
        b"\xff" + mark + struct.pack(">H", len(body) + 2) + body for mark, body in ((b"\xe1", exif), (b"\xfe", note))
    ]
    return data[:2] + b"".join(parts) + data[2:]


def _gif(data: bytes) -> bytes:
    assert data.endswith(b";")
    return data[:-1] + b"\x21\xfe" + bytes([len(NOTE)]) + NOTE.encode() + b"\0;"


def _header_line(line: str, before: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(before, line.encode() + b"\n" + before, 1)


def _after(data: bytes) -> bytes:
    return data + f"Name: {PERSON}\nDateOfBirth: {DATE}\nComment: {SECRET}\n".encode()


def _toml(data: bytes) -> bytes:
    return f"# {NOTE}\n".encode() + data


def _json(data: bytes) -> bytes:
    if not data.rstrip().endswith(b"}"):
        return data  # a list has no room
    at = data.rindex(b"}")
    return data[:at].rstrip() + f',\n"patient_comment": "{NOTE}"\n}}\n'.encode()


def _dicom(data: bytes) -> bytes:
    from io import BytesIO

    from pydicom import Sequence, dcmread
    from pydicom.dataset import Dataset

    dataset = dcmread(BytesIO(data))
    dates = ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate")
    texts = (
        *("PatientID", "PatientComments", "StudyDescription", "SeriesDescription", "InstitutionName", "ImageComments"),
        *("StationName", "AccessionNumber", "PatientAddress", "ProtocolName", "DeviceSerialNumber", "StudyID"),
    )
    for keyword in ("PatientName", "ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName"):
        setattr(dataset, keyword, PERSON)
    for keyword in dates:
        setattr(dataset, keyword, DATE)
    for keyword in texts:
        setattr(dataset, keyword, NOTE[:16] if dataset.get(keyword) is None else f"{NOTE[:16]}")
    dataset.ManufacturerModelName = NOTE
    dataset.Manufacturer = f"{dataset.get('Manufacturer', '')} {SECRET}".strip()
    dataset.add_new((0x0009, 0x0010), "LO", PERSON)
    dataset.add_new((0x0009, 0x1001), "LT", NOTE)
    other = Dataset()
    other.PatientName = PERSON
    dataset.OtherPatientIDsSequence = Sequence([other])
    out = BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _tiff(data: bytes) -> bytes:
    from io import BytesIO

    from PIL import Image

    image = Image.open(BytesIO(data))
    described = str(image.tag_v2.get(270, ""))
    out = BytesIO()
    image.save(out, format="TIFF", tiffinfo={270: f"{described} {NOTE}", 315: PERSON, 306: DATE, 305: SECRET})
    return out.getvalue()


_PLANTERS: dict[str, Callable[[bytes], bytes]] = {
    ".nii": _nifti,
    ".nii.gz": _packed,
    ".png": _png,
    ".jpg": _jpeg,
    ".gif": _gif,
    ".tif": _tiff,
    ".dcm": _dicom,
    ".mha": _header_line(f"PatientName = {NOTE}", b"ElementDataFile"),
    ".nrrd": _header_line(f"PatientName:={NOTE}", b"encoding:"),
    ".cfg": _after,
    ".toml": _toml,
    ".json": _json,
}
