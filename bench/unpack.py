"""A zip that a stranger sent, unpacked: every entry is looked at before the first byte is written."""

import shutil
import stat
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from converters.errors import BenchError

ENTRIES = 100_000
LIMIT = 8 << 30  # bytes, unpacked
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


def unpack(archive: Path, into: Path, limit: int = LIMIT) -> None:
    """Write the files of an archive below a folder.

    Raises:
        BenchError: it is no zip, or damaged; an entry leads elsewhere, is no plain file, or clashes with another; there
            are too many, or too much. Then nothing is left there.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if fault := _fault(entries, limit):
                raise BenchError(fault, where=archive, mend="pack it again: bench submit")
            for entry in entries:
                path = into / entry.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(entry) as source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)  # a zip entry gives no more bytes than its size says
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, UnicodeError) as error:
        shutil.rmtree(into, ignore_errors=True)
        told = error.strerror if isinstance(error, OSError) else error
        raise BenchError(f"no whole zip: {told}", where=archive, mend="copy it again") from None


def _fault(entries: Sequence[zipfile.ZipInfo], limit: int) -> str | None:
    if len(entries) > ENTRIES:
        return f"{len(entries)} entries; {ENTRIES} are enough for any submission"
    if (size := sum(entry.file_size for entry in entries)) > limit:
        return f"{size} bytes when unpacked; the limit is {limit}"
    seen: set[str] = set()
    for entry in entries:
        if why := _why_not(entry):
            return f"entry {entry.filename!r} {why}"
        parts = entry.filename.casefold()
        if parts in seen:
            return f"entry {entry.filename!r} is there twice, but for case"
        seen.add(parts)
    return None


def _why_not(entry: zipfile.ZipInfo) -> str | None:
    name = entry.filename
    if name.startswith("/") or "\\" in name or ":" in name or not name.isprintable():
        return "is no relative path"
    if any(part in ("", ".", "..") for part in name.split("/")) or PurePosixPath(name).is_absolute():
        return "leads out of its folder"
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is no plain file"
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PLAIN:
        return "is encrypted, or packed in a way that is not read here"
    return None
