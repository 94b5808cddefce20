"""Files that are whole or absent: atomic writing, canonical JSON, digests, natural order, safe names."""

import contextlib
import contextvars
import errno
import hashlib
import math
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar, dataclass_transform

import msgspec

from converters.errors import BenchError, EnvironmentFault

# A case or subject id: no underscore, so `<case>_0000` splits unambiguously; no path, no case clash.
_ID = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_NUMBER = re.compile(rb"\xcb[\x7f\xff][\xf0-\xff]")  # how MessagePack begins NaN and infinity
_JUNK = {".ds_store", "thumbs.db", "desktop.ini", "__macosx", "dicomdir"}


# mypy does not see that msgspec hands `frozen` down to subclasses.
@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A typed, frozen JSON or TOML value; an unknown key is an error that names the key."""


T = TypeVar("T")

Fingerprint = tuple[int, str]  # bytes and SHA-256 of a file
_NOTE: contextvars.ContextVar[Callable[[Path, bytes], None] | None] = contextvars.ContextVar("note", default=None)


@contextlib.contextmanager
def noting() -> Iterator[dict[Path, Fingerprint]]:
    """The fingerprint, known after the block, of every file that `read` reads in it: nobody reads it again for that.

    The digests are taken beside the reading, in a thread.
    """
    from concurrent.futures import Future, ThreadPoolExecutor

    noted: dict[Path, Fingerprint] = {}
    digests: dict[Path, Future[Fingerprint]] = {}
    with ThreadPoolExecutor(1) as beside:

        def note(path: Path, data: bytes) -> None:
            digests[path] = beside.submit(lambda: (len(data), sha256(data)))

        token = _NOTE.set(note)
        try:
            yield noted
        finally:
            _NOTE.reset(token)
    noted.update((path, future.result()) for path, future in digests.items())


def read(path: Path) -> bytes:
    """The bytes of a source file."""
    data = path.read_bytes()
    note = _NOTE.get()
    if note is not None:
        note(path, data)
    return data


def canonical_json(value: object) -> bytes:
    """JSON with sorted keys and two-space indent: two machines write the same bytes.

    NaN and infinity have no JSON form and would become null unseen, so they raise.
    """
    try:
        packed, text = msgspec.msgpack.encode(value), msgspec.json.encode(value, order="sorted")
    except (TypeError, OverflowError):  # keys that are numbers, whole numbers of more than 64 bits
        packed, value = b"", msgspec.to_builtins(value, str_keys=True, order="sorted")
        text = msgspec.json.encode(value, order="sorted")
    # These bytes may also stand for something else.
    if not packed or _NO_NUMBER.search(packed):
        _refuse_nan(msgspec.to_builtins(value, str_keys=True))
    return msgspec.json.format(text, indent=2) + b"\n"


def _refuse_nan(value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no JSON form; use None")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        _refuse_nan(part)


def read_json(path: Path, kind: type[T]) -> T:
    """The file as a strict type.

    Raises:
        BenchError: the file is absent, no JSON, or does not fit; the message names the key.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise BenchError(f"there is no {path.name}", where=path.parent) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BenchError(f"{path.name}: {error}", where=path, mend="restore the file or convert again") from None


def write_json(path: Path, value: object) -> None:
    """Write canonical JSON atomically; an unchanged file is left alone."""
    write_bytes(path, canonical_json(value))


def write_bytes(path: Path, data: bytes) -> None:
    """Write whole or not at all; a file that already holds these bytes keeps its time stamp."""
    if path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data:
        return
    with replacing(path) as temporary:
        try:
            temporary.write_bytes(data)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise EnvironmentFault(
                f"the disk is full: {len(data)} bytes to write, {shutil.disk_usage(path.parent).free} free",
                where=path,
                mend="free some space and repeat the command: it goes on from here",
            ) from None


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, flushed to disk, when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def digest(value: object) -> str:
    """Hex digest of a value's canonical JSON."""
    return sha256(canonical_json(value))


def natural_key(name: str | Path) -> tuple[tuple[int, int, str], ...]:
    """Sort key under which `2` comes before `10`."""
    parts = re.split(r"(\d+)", str(name))
    return tuple((0, int(p), p) if p.isdigit() else (1, 0, p) for p in parts if p)


def is_junk(path: Path) -> bool:
    """Files that operating systems and archivers leave behind."""
    return any(part.lower() in _JUNK or part.startswith("._") for part in path.parts)


def safe_id(native: str, *, where: str | Path | None = None) -> str:
    """A native name as a case or subject id: lower case, `_` and spaces to `-`.

    Raises:
        BenchError: what remains is no id (path parts, device names, other letters, too long).
    """
    name = re.sub(r"[_ ]+", "-", native.lower())
    if not _ID.fullmatch(name) or name in DEVICES:
        raise BenchError(
            f"'{native}' cannot be a case id",
            where=where,
            mend="rename it: letters a-z, digits and '-', at most 64, starting and ending with a letter or digit",
        )
    return name


def stored(folder: Path, name: str) -> Path:
    """The file of that name, or the same gzipped or unzipped where only that is there."""
    native = folder / name
    other = native.with_suffix("") if native.suffix == ".gz" else native.with_name(f"{name}.gz")
    return other if other.is_file() and not native.is_file() else native


def inside(root: Path, relative: str) -> Path:
    """`root / relative`, refused if it leads out of `root`.

    Raises:
        BenchError: the path is absolute or climbs out, or no path at all.
    """
    path = root / relative
    if "\0" in relative or not path.resolve().is_relative_to(root.resolve()):
        raise BenchError(f"{relative!r} leads out of its folder", where=root)
    return path
