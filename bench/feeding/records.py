"""A record file: samples one after another in one file, each with its length and checksums, read from front to back.

As TFRecord: 8 bytes of length, a checksum of these, the sample, a checksum of it. The checksums are CRC-32, not its
masked cousin; a sample is MessagePack.
"""

import itertools
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np
from isal import isal_zlib

from baselines.cache import Prepared, foreground
from converters.errors import BenchError

_HEAD, _TAIL = struct.Struct("<QI"), struct.Struct("<I")
_CHUNK = 1 << 20  # bytes read ahead

Item = tuple[int, int]  # case, slice; the slice is 0 where samples are volumes


class Sample(msgspec.Struct, array_like=True, frozen=True):
    """One slice, or one volume, on the network's grid.

    Shape: image (C, D, H, W) float16; target (D, H, W) uint8; foreground (n,) uint32, flat indices into the target.
    """

    case: int
    slice: int
    id: str
    trusted: bool
    shape: tuple[int, int, int, int]
    image: memoryview
    target: memoryview
    foreground: memoryview

    def prepared(self) -> Prepared:
        """The sample as a case of its own; arrays are read-only."""
        image = np.frombuffer(self.image, np.float16).reshape(self.shape)
        target = np.frombuffer(self.target, np.uint8).reshape(self.shape[1:])
        return Prepared(self.id, image, target, np.frombuffer(self.foreground, np.uint32), self.trusted)


def alone(case: Prepared, z: int | None) -> Prepared:
    """One slice as a case of its own; None: all of it, as it is."""
    if z is None:
        return case
    image, target = case.image[:, z : z + 1], case.target[z : z + 1]
    return Prepared(case.id, image, target, foreground(target), case.trusted)


def write(path: Path, samples: Iterable[tuple[Item, Prepared]]) -> int:
    """Write them all, flushed to disk; gives the number of bytes."""
    encode = msgspec.msgpack.Encoder().encode
    with path.open("wb") as out:
        for (case, z), one in samples:
            image, target, inside = (memoryview(array.tobytes()) for array in (one.image, one.target, one.foreground))
            data = encode(Sample(case, z, one.id, one.trusted, one.image.shape, image, target, inside))
            length = struct.pack("<Q", len(data))
            out.write(_HEAD.pack(len(data), isal_zlib.crc32(length)))
            out.write(data)
            out.write(_TAIL.pack(isal_zlib.crc32(data)))
        out.flush()
        os.fsync(out.fileno())
        return out.tell()


def read(path: Path) -> Iterator[tuple[Item, Prepared]]:
    """Every sample, in the order in which they were written.

    Raises:
        BenchError: the file is cut short, or a checksum does not fit; says which record.
    """
    decode = msgspec.msgpack.Decoder(Sample).decode
    with path.open("rb", buffering=_CHUNK) as file:
        for number in itertools.count():
            head = file.read(_HEAD.size)
            if not head:
                return
            sample = decode(_data(file, head, number))
            yield (sample.case, sample.slice), sample.prepared()


def _data(file: BinaryIO, head: bytes, number: int) -> bytes:
    """What follows the head of a record, found as it was written."""
    length, mark = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, -1)
    if isal_zlib.crc32(head[:8]) == mark:
        data, tail = file.read(length), file.read(_TAIL.size)
        if tail == _TAIL.pack(isal_zlib.crc32(data)):
            return data
    raise BenchError(f"record {number} is damaged or cut short", where=file.name, mend="write the record file again")
