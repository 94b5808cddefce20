"""The words a file could give away, unpacked: `from said import said`."""

import gzip
import struct
from pathlib import Path


def said(path: Path) -> bytes:
    """The bytes of a file; of a packed one what is inside, of a PNG all but its pixels, which may spell anything."""
    data = path.read_bytes()
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if data.startswith(b"\x89PNG"):
        return b"".join(kind + body for kind, body in chunks(data) if kind != b"IDAT")
    return data


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Kind and content of every chunk of a PNG."""
    found, at = [], 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += size + 12
    return found
