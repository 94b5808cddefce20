"""A file from the web: resumed where it broke off, checked, and under its own name only when it is whole and right."""

import contextlib
import dataclasses
import hashlib
import http.client
import os
import re
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from converters.errors import BenchError, EnvironmentFault
from converters.files import Strict, inside, read_json, write_bytes, write_json
from converters.source import Remote
from converters.web import Again, asked, received

Progress = Callable[[str, int], AbstractContextManager[Callable[[int, int], None]]]  # (label, MB) -> advance(MB, bytes)

_AT_ONCE = 1 << 18  # bytes
_MB = 1_000_000
_PAGE = (b"<!doctype html", b"<html")
_BEFORE_PAGE = b"\xef\xbb\xbf \t\r\n"


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a server is waited for, and how much is taken from it."""

    tries: int = 5  # in a row that bring nothing new
    wait: float = 1.0  # seconds before the second try, then twice as long, and so on
    timeout: float = 30.0  # seconds without a byte
    most: int = 256 << 30  # bytes of a file of which nobody says how long it is


@dataclasses.dataclass(frozen=True)
class Fetched:
    """A file that is there, whole."""

    path: Path
    bytes: int
    sha256: str
    fetched: bool  # now; False: it was there
    checked: str  # by what: "md5", "sha256", "size", or "" where nothing is published


class _State(Strict):
    """name.part.json: which file the part is of."""

    url: str
    validator: str  # strong ETag or Last-Modified; the server says by it whether the file is still the same
    total: int | None


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
    draft = _Draft(remote, path.with_name(f"{path.name}.part"))
    bar = progress(path.name, (remote.bytes or 0) // _MB) if progress else contextlib.nullcontext(_ignore)
    with bar as advance:
        return _patiently(draft, path, patience, _Meter(advance))


def _patiently(draft: "_Draft", path: Path, patience: Patience, meter: "_Meter") -> Fetched:
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


class _Draft:
    """The file as far as it has come."""

    def __init__(self, remote: Remote, part: Path) -> None:
        self.remote, self.part = remote, part
        self._about = part.with_name(f"{part.name}.json")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def discard(self) -> None:
        """Begin anew."""
        self.part.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def go_on(self, patience: Patience, meter: "_Meter") -> bool:
        """Get what is lacking; True if it was not got all at once."""
        state = self._state()
        have = self.size if state is not None else 0
        if state is not None and have and have == self.remote.bytes == state.total:
            return True
        ask = {"Range": f"bytes={have}-", "If-Range": state.validator} if state is not None and have else {}
        with asked(self.remote.url, ask, patience.timeout) as answer:
            start, total = _span(answer)
            same = state is None or (state.total in (None, total) and _still(answer, state.validator))
            if answer.status == 416 and same and total == have > 0:
                return True
            if answer.status == 416 or start not in (0, have) or (start and not same):
                self.discard()
                raise Again("the rest that the server gives belongs to another file")
            most = self._most(answer, total, patience)
            self._check_room((self.remote.bytes or total or 0) - start)
            if not start:
                self._begin(answer, total)
            meter.set(start)
            self._receive(answer, (start, total, most), meter)
        return start > 0

    def _state(self) -> _State | None:
        try:
            state = read_json(self._about, _State)
        except BenchError:
            return None
        return state if state.url == self.remote.url else None

    def _begin(self, answer: http.client.HTTPResponse, total: int | None) -> None:
        self.discard()
        tag = answer.headers.get("ETag", "")
        validator = tag if tag.startswith('"') else answer.headers.get("Last-Modified", "")
        if validator and answer.headers.get("Accept-Ranges", "") != "none":
            write_json(self._about, _State(url=self.remote.url, validator=validator, total=total))

    def _most(self, answer: http.client.HTTPResponse, total: int | None, patience: Patience) -> int:
        """Bytes that may come, if what is offered can be the file."""
        name, kind = self.remote.name, answer.headers.get("Content-Type", "")
        if kind.lower().startswith("text/html") and not name.endswith((".html", ".htm")):
            raise self._bad("is HTML, the download failed")
        if answer.headers.get("Content-Encoding", "").lower() not in ("", "identity"):
            raise self._bad("comes packed in a way that was not asked for")
        if total is not None and self.remote.bytes not in (None, total):
            raise self._bad(f"the server offers {total} bytes; {self.remote.bytes} are published")
        most = next(size for size in (self.remote.bytes, total, patience.most) if size is not None)
        if most > patience.most:
            raise self._bad(f"{most} bytes; the limit is {patience.most}")
        return most

    def _check_room(self, needed: int) -> None:
        if needed > (free := shutil.disk_usage(self.part.parent).free):
            raise EnvironmentFault(
                f"{self.remote.name} needs {needed} bytes more; {free} are free",
                where=self.part.parent,
                mend="make room, and repeat",
            )

    def _receive(self, answer: http.client.HTTPResponse, sizes: tuple[int, int | None, int], meter: "_Meter") -> None:
        start, total, most = sizes
        got = start
        with self.part.open("r+b" if start else "wb") as target:
            target.truncate(start)
            target.seek(start)
            while (total is None or got < total) and (block := received(answer, _AT_ONCE)):
                block = block if total is None else block[: total - got]
                if not got and block[:512].lstrip(_BEFORE_PAGE).lower().startswith(_PAGE):
                    raise self._bad("is HTML, the download failed")
                got += len(block)
                if got > most:
                    raise self._bad(f"more than {most} bytes come")
                target.write(block)
                meter.add(len(block))
            target.flush()
            os.fsync(target.fileno())
        wanted = total if total is not None else self.remote.bytes
        if wanted is not None and got < wanted:
            raise Again(f"the connection ended after {got} of {wanted} bytes")

    def _bad(self, what: str) -> BenchError:
        self.discard()
        return BenchError(f"{self.remote.name}: {what}", where=self.remote.url, mend="get it by hand")


def _still(answer: http.client.HTTPResponse, validator: str) -> bool:
    """Whether the answer names no other version of the file: a server may not know what If-Range means."""
    return answer.headers.get("ETag" if validator.startswith('"') else "Last-Modified", validator) == validator


def _span(answer: http.client.HTTPResponse) -> tuple[int, int | None]:
    """First byte of the body in the file, and bytes of the whole file; None where nobody says."""
    if answer.status == 200:
        length = answer.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() and "chunked" not in answer.headers.get(
            "Transfer-Encoding", ""
        ) else None
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", answer.headers.get("Content-Range", ""))
    return (int(found[1] or -1), int(found[2])) if found else (-1, None)


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


class _Meter:
    """Bytes, told to a bar of megabytes."""

    def __init__(self, advance: Callable[[int, int], None]) -> None:
        self._advance, self._at = advance, 0

    def set(self, at: int) -> None:
        """What is there already is no measure of speed."""
        self._advance(at // _MB - self._at // _MB, 0)
        self._at = at

    def add(self, size: int) -> None:
        """Bytes that have just come."""
        self._advance((self._at + size) // _MB - self._at // _MB, size)
        self._at += size


def _ignore(_: int, __: int) -> None:
    """Nobody watches."""
