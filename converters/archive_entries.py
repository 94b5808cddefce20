"""What lies in a zip or a tar, entry by entry, without being unpacked: no header gets more memory than it is worth."""

import contextlib
import dataclasses
import io
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, cast

from converters.errors import BenchError

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
AT_ONCE = 1 << 20  # bytes of one read; a tar header that wants more is no header
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_ZIP_END = struct.Struct("<4s8xI6x")  # signature, bytes of the directory
_ZIP64_END = struct.Struct("<4s36xQ8x")  # the same in archives of more than 4 GB; zipfile lets it overrule the other
_ZIP64_FINDER = 20  # bytes between the two
_ZIP_NAME = 512  # bytes that an entry of the directory stays below, on the average
_PADDING = 1 << 24  # bytes of nothing that may follow a tar
_XZ_MEMORY = 1 << 28  # bytes a decoder may ask for; xz -9 wants a quarter of it


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file in an archive."""

    name: str
    size: int
    why_not: str  # why it is not to be unpacked, "" for a plain file
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


@contextlib.contextmanager
def opened(archive: Path, most: int) -> Iterator[Iterator[Entry]]:
    """The entries of an archive, while it is open.

    Raises:
        BenchError: a zip's directory is larger than that of so many entries.
    """
    if not archive.name.lower().endswith(ENDINGS[1:]):
        if _directory(archive) > _ZIP_NAME * most:
            raise refused(f"more than {most} entries", archive)
        with zipfile.ZipFile(archive) as box:
            yield (_of_zip(box, entry) for entry in box.infolist())
        return
    with _inflated(archive) as stream, tarfile.open(fileobj=_Sipped(stream), mode="r:") as tar:
        yield _members(tar, stream)


def _directory(archive: Path) -> int:
    """Bytes of a zip's directory, which zipfile would read and keep before anybody can count."""
    with archive.open("rb") as file:
        whole = _ZIP64_END.size + _ZIP64_FINDER + _ZIP_END.size + (1 << 16)
        file.seek(max(0, archive.stat().st_size - whole))
        tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if not 0 <= at <= len(tail) - _ZIP_END.size:
        return 0
    large = at - _ZIP64_FINDER - _ZIP64_END.size
    if large >= 0 and tail.startswith(b"PK\6\6", large):
        return int(_ZIP64_END.unpack_from(tail, large)[1])
    return int(_ZIP_END.unpack_from(tail, at)[1])


def _inflated(archive: Path) -> IO[bytes]:
    import bz2
    import gzip

    with archive.open("rb") as raw:
        head = raw.read(1 << 16)
    if head.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(archive))
    if head.startswith(b"BZh"):
        return bz2.open(archive)
    if head.startswith(b"\xfd7zXZ"):
        lzma.LZMADecompressor(memlimit=_XZ_MEMORY).decompress(head, 1)
        return lzma.open(archive)
    return archive.open("rb")


class _Sipped(io.RawIOBase):
    """A stream of which nobody gets more than a sip at once: a tar header may claim to be as long as it likes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        """That many bytes."""
        if not 0 <= size <= AT_ONCE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte of the unpacked stream."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The next byte."""
        return self._stream.tell()


def _of_zip(box: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Entry:
    why_not = ""
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        why_not = "is no plain file"
    elif entry.flag_bits & _ENCRYPTED or entry.compress_type not in _ZIP_METHODS:
        why_not = "is encrypted, or packed in a way that is not read here"
    return Entry(entry.filename, entry.file_size, why_not, entry.filename.endswith("/"), partial(box.open, entry))


def _members(tar: tarfile.TarFile, stream: IO[bytes]) -> Iterator[Entry]:
    """Every entry, and a look at what follows: tarfile takes a damaged header, or a cut, for the end of the archive.

    Read to its end, the stream also finds that its checksum is right.
    """
    yield from (_of_tar(tar, member) for member in tar)
    stream.seek(tar.offset)
    size = 0
    while block := stream.read(AT_ONCE):
        size += len(block)
        if block.count(0) != len(block) or size > _PADDING:
            raise tarfile.ReadError(f"something that is no entry at byte {tar.offset}")
    if size < tarfile.BLOCKSIZE:
        raise EOFError(f"cut off at byte {tar.offset}")


def _of_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    why_not = "" if member.isdir() or (member.isreg() and not member.issparse()) else "is no plain file"
    try:
        getattr(tarfile, "data_filter", _unfiltered)(member, "there")  # absent before 3.11.4
    except tarfile.TarError:
        why_not = why_not or "leads out of its folder"
    return Entry(member.name, member.size, why_not, member.isdir(), partial(tar.extractfile, member))


def _unfiltered(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    return member


def refused(fault: str, archive: Path) -> BenchError:
    """What is raised where an archive is not to be unpacked."""
    return BenchError(fault, where=archive, mend="get it again from its source; nothing was unpacked")
