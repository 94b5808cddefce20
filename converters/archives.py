"""Archives that strangers made, unpacked: every entry is looked at before the first byte is written."""

import dataclasses
import errno
import lzma
import shutil
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from converters.archive_entries import AT_ONCE, ENDINGS, Entry, opened, refused
from converters.errors import BenchError, EnvironmentFault
from converters.files import DEVICES, is_junk

_NAME = 255  # bytes of a file name
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
        with opened(archive, limits.entries) as found:
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


def _write(entry: Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = entry.open()
    assert source is not None  # plain files alone come this far
    with source, path.open("xb") as target:
        shutil.copyfileobj(source, target, AT_ONCE)  # no reader gives more bytes than the entry's size says
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


def _checked(archive: Path, found: Iterator[Entry], limits: Limits) -> Sequence[Entry]:
    """All files of it; one by one, so that a bomb is not read to its end before it is known for one."""
    files: list[Entry] = []
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
            raise refused(fault, archive)
        if not entry.is_folder:
            files.append(entry)
    return files


def _misnamed(entry: Entry) -> str:
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


def _clash(entry: Entry, spelling: dict[str, tuple[str, bool]]) -> str:
    parts = [part for part in entry.name.split("/") if part not in ("", ".")]
    for depth in range(1, len(parts) + 1):
        path, is_folder = "/".join(parts[:depth]), depth < len(parts) or entry.is_folder
        key = unicodedata.normalize("NFC", path).casefold()
        if (known := spelling.get(key)) is not None and (known != (path, is_folder) or not is_folder):
            return f"is there twice, but for case: {known[0]!r}"
        spelling[key] = path, is_folder
    return ""
