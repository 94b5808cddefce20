"""A pack: arrays of many cases in one file, read by memory map; made once, shared by every run that needs the same.

A pack lies in a folder named by the digest of all that decides its bytes. It is made in a folder of its own and renamed
when it is whole, so two runs may make one at once and neither sees half of it; the later one gives its copy up. It is
written case by case and mapped: neither making nor reading holds it in memory, and who has mapped one reads on, whoever
removes it.
"""

import contextlib
import math
import os
import re
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError, EnvironmentFault
from converters.files import Strict, canonical_json, digest, read_json

FORMAT = 1
_DATA, _INDEX = "arrays.bin", "index.json"
_ALIGN = 4096  # bytes: a page of memory
_OURS = re.compile(r"[0-9a-f]{32}|\.[0-9a-f]{32}\..*\.(tmp|gone)")  # packs, and what is made or removed

Arrays = Iterator[tuple[str, npt.NDArray[np.generic]]]


class Entry(Strict):
    """Where the array of one case lies in the file."""

    name: str
    offset: int
    shape: tuple[int, ...]


class Index(Strict):
    """What a pack holds, and of what it was made."""

    format: int
    made_of: dict[str, str]  # what the digest covers, for people: dataset, part, preprocessing
    dtype: str
    bytes: int
    entries: tuple[Entry, ...]


def packed(root: Path | None, made_of: Mapping[str, str], make: Callable[[], Arrays]) -> dict[str, np.ndarray]:
    """The arrays by name, in order: from the pack if there is one, else made, packed and mapped.

    Args:
        root: folder of packs; None holds everything in memory.
        made_of: all that decides the bytes; its digest names the pack.
        make: gives (name, array) of every case, all of one dtype.

    Raises:
        BenchError: a case cannot be read.
        EnvironmentFault: the pack cannot be written; says how to go on without.
    """
    if root is None:
        return dict(_read(make()))
    folder = root / _key(made_of)
    found = _opened(folder)
    if found is not None:
        with contextlib.suppress(OSError):  # somebody else's: then it cannot be said
            os.utime(folder / _DATA)  # that it is in use
        return found
    try:
        return _make(folder, made_of, _read(make()))
    except OSError as error:
        raise EnvironmentFault(
            f"the cache cannot be written: {error.strerror or error}",
            where=folder,
            mend="free space (bench cache clear), give another folder (BENCH_CACHE), or take BENCH_CACHE=none",
        ) from None


def packs(root: Path) -> Iterator[tuple[Path, Index, float]]:
    """Every whole pack: its folder, what it holds, and when it was last used (seconds since 1970)."""
    for path in sorted(root.glob(f"[!.]*/{_INDEX}")):
        index = _index(path.parent)
        with contextlib.suppress(FileNotFoundError):  # cleared just now
            if index is not None:
                yield path.parent, index, (path.parent / _DATA).stat().st_mtime


def discard(folder: Path) -> None:
    """Remove a pack, unless another did. A run that has it mapped goes on reading.

    Raises:
        EnvironmentFault: it cannot be removed.
    """
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.gone")
    try:
        folder.rename(gone)  # at once: nobody finds half of it
    except FileNotFoundError:
        return
    except OSError as error:
        raise EnvironmentFault(
            f"the pack cannot be removed: {error.strerror}", where=folder, mend="its owner can, or give another folder"
        ) from None
    shutil.rmtree(gone, ignore_errors=True)


def sweep(root: Path, older_than_s: float = 3600.0, *, drafts: bool = False) -> int:
    """Remove what killed makers left and, unless `drafts` alone, packs that are damaged or of other versions.

    Gives the number of bytes freed. What was written to within `older_than_s` stays: a maker may be at work there.
    """
    freed = 0
    for folder in [path for path in root.glob(".*" if drafts else "*") if _OURS.fullmatch(path.name)]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # another sweeps, too
            files = [path.stat() for path in (folder, *folder.iterdir())]
            old = time.time() - max(file.st_mtime for file in files) > older_than_s
            if old and _index(folder) is None:
                shutil.rmtree(folder, ignore_errors=True)
                freed += 0 if folder.exists() else sum(file.st_size for file in files[1:])
    return freed


def _read(arrays: Arrays) -> Arrays:
    """The same; an error of the disk that is read is not taken for one of the disk that is written."""
    try:
        yield from arrays
    except OSError as error:
        raise BenchError(f"a case cannot be read: {error.strerror or error}", where=error.filename) from None


def _key(made_of: Mapping[str, str]) -> str:
    return digest([FORMAT, dict(made_of)])[:32]


def _index(folder: Path) -> Index | None:
    """What a whole pack holds; None where there is none, or one of another version, length or content."""
    try:
        index = read_json(folder / _INDEX, Index)
        there = (folder / _DATA).stat().st_size
        inside = all(0 <= entry.offset <= there - _size(index, entry) for entry in index.entries)
    except (BenchError, OSError, TypeError):
        return None
    whole = inside and index.format == FORMAT and there == index.bytes
    return index if whole and folder.name == _key(index.made_of) else None


def _size(index: Index, entry: Entry) -> int:
    return math.prod(entry.shape) * np.dtype(index.dtype).itemsize


def _opened(folder: Path) -> dict[str, np.ndarray] | None:
    index = _index(folder)
    try:
        return None if index is None else _mapped(folder, index)
    except FileNotFoundError:  # cleared just now
        return None


def _mapped(folder: Path, index: Index) -> dict[str, np.ndarray]:
    """The arrays of a pack, which stay readable if it is removed."""
    if not index.bytes:  # nothing can be mapped
        return {entry.name: np.empty(entry.shape, index.dtype) for entry in index.entries}
    # A plain array: each slice of a np.memmap would be a memmap, which takes ten times as long to make.
    data = np.asarray(np.memmap(folder / _DATA, mode="r", dtype=np.uint8))
    return {
        entry.name: data[entry.offset : entry.offset + _size(index, entry)].view(index.dtype).reshape(entry.shape)
        for entry in index.entries
    }


def _make(folder: Path, made_of: Mapping[str, str], arrays: Arrays) -> dict[str, np.ndarray]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(folder.parent, drafts=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        draft.chmod(0o755)
        index = _write(draft / _DATA, made_of, arrays)
        (draft / _INDEX).write_bytes(canonical_json(index))
        for path in draft.iterdir():  # whatever the umask: nobody else changes what runs share
            path.chmod(path.stat().st_mode & ~0o022)
        made = _mapped(draft, index)  # before anybody can clear it
        if _index(folder) is None:
            discard(folder)  # of an older version, or damaged
        try:
            draft.rename(folder)
        except OSError:  # another was faster: where one pack is mapped by all, it is in memory once
            return _opened(folder) or made
        return made
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write(path: Path, made_of: Mapping[str, str], arrays: Arrays) -> Index:
    entries: list[Entry] = []
    dtype = ""
    with path.open("wb") as out:
        for name, array in arrays:
            dtype = dtype or array.dtype.name
            if array.dtype.name != dtype:
                raise ValueError(f"{name} is {array.dtype.name}, the others are {dtype}")
            out.write(bytes(-out.tell() % _ALIGN))
            entries.append(Entry(name=name, offset=out.tell(), shape=array.shape))
            out.write(np.ascontiguousarray(array).data)
        size = out.tell()
        out.flush()
        os.fsync(out.fileno())
    return Index(format=FORMAT, made_of=dict(made_of), dtype=dtype, bytes=size, entries=tuple(entries))
