"""A pack: arrays of many cases in one file, read by memory map; made once, shared by every run that needs the same.

A pack lies in a folder named by the digest of all that decides its bytes. It is made in a folder of its own and renamed
when it is whole, so two runs may make one at once and neither sees half of it; the later one gives its copy up.
"""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError, EnvironmentFault
from converters.files import Strict, canonical_json, digest, read_json

FORMAT = 1
_DATA, _INDEX = "arrays.bin", "index.json"
_ALIGN = 4096  # bytes: a page of memory

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
        EnvironmentFault: the pack cannot be written; says how to go on without.
    """
    if root is None:
        return dict(make())
    folder = root / digest([FORMAT, dict(made_of)])[:32]
    found = _opened(folder)
    if found is None:
        try:
            _make(folder, made_of, make())
        except OSError as error:
            raise EnvironmentFault(
                f"the cache cannot be written: {error.strerror or error}",
                where=folder,
                mend="free space (bench cache clear), give another folder (BENCH_CACHE), or take BENCH_CACHE=none",
            ) from None
        found = _opened(folder)
        assert found is not None  # it was written here, or by another run that was faster
    return found


def packs(root: Path) -> Iterator[tuple[Path, Index, float]]:
    """Every whole pack: its folder, what it holds, and when it was last used (seconds since 1970)."""
    for path in sorted(root.glob(f"*/{_INDEX}")):
        index = _index(path.parent)
        if index is not None:
            yield path.parent, index, (path.parent / _DATA).stat().st_mtime


def discard(folder: Path) -> None:
    """Remove a pack. A run that has it mapped goes on reading."""
    gone = folder.with_name(f".{folder.name}.{os.getpid()}.gone")
    folder.rename(gone)
    shutil.rmtree(gone)


def _index(folder: Path) -> Index | None:
    """What a whole pack holds; None where there is none, or one of another version or length."""
    try:
        index = read_json(folder / _INDEX, Index)
        whole = index.format == FORMAT and (folder / _DATA).stat().st_size == index.bytes
    except (BenchError, OSError):
        return None
    return index if whole else None


def _opened(folder: Path) -> dict[str, np.ndarray] | None:
    index = _index(folder)
    if index is None:
        return None
    with contextlib.suppress(OSError):  # somebody else's: then it cannot be said
        os.utime(folder / _DATA)  # that it is in use
    data = np.memmap(folder / _DATA, mode="r", dtype=np.uint8)
    kind = np.dtype(index.dtype)
    arrays = {}
    for entry in index.entries:
        size = int(np.prod(entry.shape)) * kind.itemsize
        arrays[entry.name] = data[entry.offset : entry.offset + size].view(kind).reshape(entry.shape)
    return arrays


def _make(folder: Path, made_of: Mapping[str, str], arrays: Arrays) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent))
    try:
        draft.chmod(0o755)
        index = _write(draft / _DATA, made_of, arrays)
        (draft / _INDEX).write_bytes(canonical_json(index))
        for path in draft.iterdir():  # whatever the umask: nobody else changes what runs share
            path.chmod(path.stat().st_mode & ~0o022)
        if folder.exists() and _index(folder) is None:
            shutil.rmtree(folder)  # of an older version, or damaged
        try:
            draft.rename(folder)
        except OSError:
            if _index(folder) is None:
                raise
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


def sweep(root: Path, older_than_s: float = 86400.0) -> int:
    """Remove what makers that were killed have left; gives the number of bytes freed."""
    freed = 0
    for left in [*root.glob(".*.tmp"), *root.glob(".*.gone")]:
        if time.time() - left.stat().st_mtime > older_than_s:
            freed += sum(path.stat().st_size for path in left.rglob("*") if path.is_file())
            shutil.rmtree(left, ignore_errors=True)
    return freed
