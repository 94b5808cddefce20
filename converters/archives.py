"""Archives that strangers made, unpacked: every entry is looked at before the first byte is written."""

import contextlib
import dataclasses
import errno
import io
import lzma
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, cast

from converters.errors import BenchError, EnvironmentFault
from converters.files import DEVICES, is_junk

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_ZIP_END = struct.Struct("<4s8xI6x")  # signature, bytes of the directory
_ZIP64_END = struct.Struct("<4s36xQ8x")  # the same in archives of more than 4 GB; zipfile lets it overrule the other
_ZIP64_FINDER = 20  # bytes between the two
_ZIP_NAME = 512  # bytes that an entry of the directory stays below, on the average
_AT_ONCE = 1 << 20  # bytes of one read; a tar header that wants more is no header
_PADDING = 1 << 24  # bytes of nothing that may follow a tar
_NAME = 255  # bytes of a file name
_XZ_MEMORY = 1 << 28  # bytes a decoder may ask for; xz -9 wants a quarter of it
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.EIO}
_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    NotImplementedError,
    EOFError,
    ValueError,
    OverflowError,
)


class Broken(BenchError):
    """It is no archive, or not all of one."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What an honest archive stays below."""

    entries: int = 100_000
    size: int = 8 << 30  # bytes, unpacked
    ratio: int = 200  # unpacked to packed, above `small` bytes; a bomb has a thousand and more
    small: int = 1 << 28


SUBMISSION = Limits()
DOWNLOAD = Limits(entries=500_000, size=256 << 30)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """A file in an archive."""

    name: str
    size: int
    why_not: str  # why it is not to be unpacked, "" for a plain file
    is_folder: bool
    open: Callable[[], IO[bytes] | None]


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked here."""
    return name.lower().endswith(ENDINGS)


def stem(name: str) -> str:
    """The name of an archive without its ending."""
    return name[: -max(len(ending) for ending in ENDINGS if name.lower().endswith(ending))]


def unpack(archive: Path, into: Path, limits: Limits = SUBMISSION) -> int:
    """Write the files of an archive below a new folder, whole or not at all; gives how many.

    zip, tar, tar.gz, tar.bz2, tar.xz. Files alone are taken, with the rights of new files; times and owners are not.

    Raises:
        Broken: it is no archive, or damaged.
        BenchError: an entry leads elsewhere, is a link or a device, has a name that some
            file system cannot hold, or clashes with another; there are too many, or too much.
        EnvironmentFault: the disk has no room for it.
    """
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise BenchError("there is something already", where=into, mend="remove it, or unpack elsewhere")
    draft = into.with_name(f".{into.name[:200]}.d.tmp")
    try:
        with _opened(archive, limits) as found:
            entries = _checked(archive, found, limits)
            _check_room(into, sum(entry.size for entry in entries))
            shutil.rmtree(draft, ignore_errors=True)  # of an unpacking that was killed
            draft.mkdir(parents=True)
            for entry in entries:
                _write(entry, draft / entry.name)
        _only_folder(draft, into.name).replace(into)
    except BenchError:  # a ValueError, too
        raise
    except _DAMAGED as error:
        raise _broken(archive, str(error)) from None
    except OSError as error:
        if error.errno in _MACHINE:
            raise
        raise _broken(archive, error.strerror or str(error)) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return len(entries)


def _broken(archive: Path, told: str) -> Broken:
    return Broken(f"no whole archive: {told}", where=archive, mend="get it again from its source")


def _refused(fault: str, archive: Path) -> BenchError:
    return BenchError(fault, where=archive, mend="get it again from its source; nothing was unpacked")


def _write(entry: _Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = entry.open()
    assert source is not None  # plain files alone come this far
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, _AT_ONCE)  # no reader gives more bytes than the entry's size says
        written = target.tell()
    if written != entry.size:
        raise EOFError(f"{written} of {entry.size} bytes of {entry.name!r}")


def _only_folder(draft: Path, name: str) -> Path:
    """The folder of that name if the archive holds nothing else, so that it does not come to lie within itself."""
    there = [path for path in draft.iterdir() if not is_junk(Path(path.name))]
    return there[0] if len(there) == 1 and there[0].is_dir() and there[0].name == name else draft


def _check_room(into: Path, size: int) -> None:
    into.parent.mkdir(parents=True, exist_ok=True)
    if size > (free := shutil.disk_usage(into.parent).free):
        raise EnvironmentFault(f"unpacked it needs {size} bytes; {free} are free", where=into.parent, mend="make room")


@contextlib.contextmanager
def _opened(archive: Path, limits: Limits) -> Iterator[Iterator[_Entry]]:
    if not archive.name.lower().endswith(ENDINGS[1:]):
        if _directory(archive) > _ZIP_NAME * limits.entries:
            raise _refused(f"more than {limits.entries} entries", archive)
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
        if not 0 <= size <= _AT_ONCE:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a byte of the unpacked stream."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """The next byte."""
        return self._stream.tell()


def _of_zip(box: zipfile.ZipFile, entry: zipfile.ZipInfo) -> _Entry:
    why_not = ""
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        why_not = "is no plain file"
    elif entry.flag_bits & _ENCRYPTED or entry.compress_type not in _ZIP_METHODS:
        why_not = "is encrypted, or packed in a way that is not read here"
    return _Entry(entry.filename, entry.file_size, why_not, entry.filename.endswith("/"), partial(box.open, entry))


def _members(tar: tarfile.TarFile, stream: IO[bytes]) -> Iterator[_Entry]:
    """Every entry, and a look at what follows: tarfile takes a damaged header, or a cut, for the end of the archive.

    Read to its end, the stream also finds that its checksum is right.
    """
    yield from (_of_tar(tar, member) for member in tar)
    stream.seek(tar.offset)
    size = 0
    while block := stream.read(_AT_ONCE):
        size += len(block)
        if block.count(0) != len(block) or size > _PADDING:
            raise tarfile.ReadError(f"something that is no entry at byte {tar.offset}")
    if size < tarfile.BLOCKSIZE:
        raise EOFError(f"cut off at byte {tar.offset}")


def _of_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> _Entry:
    why_not = "" if member.isdir() or (member.isreg() and not member.issparse()) else "is no plain file"
    try:
        getattr(tarfile, "data_filter", _unfiltered)(member, "there")  # absent before 3.11.4
    except tarfile.TarError:
        why_not = why_not or "leads out of its folder"
    return _Entry(member.name, member.size, why_not, member.isdir(), partial(tar.extractfile, member))


def _unfiltered(member: tarfile.TarInfo, _: str) -> tarfile.TarInfo:
    return member


def _checked(archive: Path, found: Iterator[_Entry], limits: Limits) -> Sequence[_Entry]:
    """All files of it; one by one, so that a bomb is not read to its end before it is known for one."""
    files: list[_Entry] = []
    spelling: dict[str, tuple[str, bool]] = {}  # path as any file system compares it -> as it is written; is a folder
    count = size = 0
    most = max(limits.small, limits.ratio * archive.stat().st_size)
    for entry in found:
        count, size = count + 1, size + max(0, entry.size)
        fault = entry.why_not or _misnamed(entry) or _clash(entry, spelling)
        if fault:
            fault = f"entry {entry.name!r} {fault}"
        elif count > limits.entries:
            fault = f"more than {limits.entries} entries"
        elif size > limits.size:
            fault = f"{size} bytes when unpacked; the limit is {limits.size}"
        elif size > most:
            fault = f"{size} bytes when unpacked, from {archive.stat().st_size}: a bomb"
        if fault:
            raise _refused(fault, archive)
        if not entry.is_folder:
            files.append(entry)
    return files


def _misnamed(entry: _Entry) -> str:
    name = entry.name.removesuffix("/") if entry.is_folder else entry.name
    if name.startswith("/") or "\\" in name or ":" in name or not name.isprintable():
        return "is no relative path"
    parts = name.removeprefix("./").split("/") if name != "." else []
    if any(part in ("", ".", "..") for part in parts):
        return "leads out of its folder"
    if any(part.split(".")[0].lower() in DEVICES or part[-1] in " ." or {*part} & {*'<>"|?*'} for part in parts):
        return "has a name that Windows cannot hold"
    if any(len(part.encode()) > _NAME for part in parts):
        return f"has a name of more than {_NAME} bytes"
    return ""


def _clash(entry: _Entry, spelling: dict[str, tuple[str, bool]]) -> str:
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    for depth in range(1, len(parts) + 1):
        path, is_folder = "/".join(parts[:depth]), depth < len(parts) or entry.is_folder
        key = unicodedata.normalize("NFC", path).casefold()
        if (known := spelling.get(key)) is not None and (known != (path, is_folder) or not is_folder):
            return f"is there twice, but for case: {known[0]!r}"
        spelling[key] = path, is_folder
    return ""
