"""A file from the web: resumed where it broke off, checked, and under its own name only when it is whole and right."""

import contextlib
import dataclasses
import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from converters.draft import MB, Draft, Meter, Patience
from converters.errors import BenchError, EnvironmentFault
from converters.files import inside, write_bytes
from converters.source import Remote
from converters.web import Again

Progress = Callable[[str, int], AbstractContextManager[Callable[[int, int], None]]]  # (label, MB) -> advance(MB, bytes)


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A file that is there, whole."""

    path: Path
    bytes: int
    sha256: str
    fetched: bool  # now; False: it was there
    checked: str  # by what: "md5", "sha256", "size", or "" where nothing is published


PATIENCE = Patience()


def fetch(remote: Remote, folder: Path, *, progress: Progress | None = None, patience: Patience = PATIENCE) -> Fetched:
    """The file in `folder`, fetched if it is not there; repeated, it goes on where it broke off.

    What is on its way is `<name>.part`. Where no checksum is published, the one found goes to `<name>.sha256`, and
    the file is checked against it from then on.

    Raises:
        BenchError: what came, or what lies there, is not the file that was published.
        EnvironmentFault: no network, a server that refuses, no room on the disk.
    """
    path = inside(folder, remote.name)
    if path.exists():
        return _settled(remote, path, path, fetched=False)
    folder.mkdir(parents=True, exist_ok=True)
    draft = Draft(remote, path.with_name(f"{path.name}.part"))
    bar = progress(path.name, (remote.bytes or 0) // MB) if progress else contextlib.nullcontext(_ignore)
    with bar as advance:
        return _patiently(draft, path, patience, Meter(advance))


def _patiently(draft: Draft, path: Path, patience: Patience, meter: Meter) -> Fetched:
    best = idle = 0
    while True:
        try:
            resumed = draft.go_on(patience, meter)
            try:
                return _settled(draft.remote, draft.part, path, fetched=True)
            except BenchError:
                draft.discard()
                if resumed:  # two halves of two files, perhaps
                    raise Again("what came in pieces does not fit together") from None
                raise
        except Again as error:
            idle = 0 if draft.size > best else idle + 1
            best = max(best, draft.size)
            if idle >= patience.tries:
                raise EnvironmentFault(
                    f"{path.name}: {error}, {idle} times",
                    where=draft.remote.url,
                    mend="repeat it: it goes on from there",
                ) from None
            time.sleep(max(error.after, patience.wait * 2**idle))


def _settled(remote: Remote, path: Path, final: Path, *, fetched: bool) -> Fetched:
    """The file, checked, under its final name.

    Raises:
        BenchError: it is another one than was published, or than was found the first time.
    """
    kind, _, published = remote.checksum.partition(":")
    beside = final.with_name(f"{final.name}.sha256")
    if not published and beside.is_file():
        kind, published = "sha256", beside.read_text(encoding="utf-8").partition(" ")[0]
    size, found = path.stat().st_size, _digests(path, {"sha256", kind or "sha256"})
    told = ""
    if remote.bytes not in (None, size):
        told = f"{size} bytes; {remote.bytes} are published"
    elif published and found[kind] != published.lower():
        told = f"its {kind} is {found[kind]}, not {published}"
    if told:
        mend = "repeat it; if it happens again, get it by hand" if fetched else "remove it, and repeat"
        raise BenchError(f"{final.name} is another file: {told}", where=remote.url if fetched else final, mend=mend)
    if path != final:
        path.replace(final)
        path.with_name(f"{path.name}.json").unlink(missing_ok=True)
    if not remote.checksum:
        write_bytes(beside, f"{found['sha256']}  {final.name}\n".encode())
    by = remote.checksum.partition(":")[0] or ("" if remote.bytes is None else "size")
    return Fetched(final, size, found["sha256"], fetched, by)


def _digests(path: Path, kinds: set[str]) -> dict[str, str]:
    made = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for one in made.values():
                one.update(block)
    return {kind: one.hexdigest() for kind, one in made.items()}


def _ignore(_: int, __: int) -> None:
    """Nobody watches."""
