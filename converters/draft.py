"""A file from the web as far as it has come: which one it is, how much of it is there, and getting the rest."""

import dataclasses
import http.client
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from converters.errors import BenchError, EnvironmentFault
from converters.files import Strict, read_json, write_json
from converters.source import Remote
from converters.web import Again, asked, received

MB = 1_000_000
_AT_ONCE = 1 << 18  # bytes
_PAGE = (b"<!doctype html", b"<html")
_BEFORE_PAGE = b"\xef\xbb\xbf \t\r\n"


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long a server is waited for, and how much is taken from it."""

    tries: int = 5  # in a row that bring nothing new
    wait: float = 1.0  # seconds before the second try, then twice as long, and so on
    timeout: float = 30.0  # seconds without a byte
    most: int = 256 << 30  # bytes of a file of which nobody says how long it is


class Meter:
    """Bytes, told to a bar of megabytes."""

    def __init__(self, advance: Callable[[int, int], None]) -> None:
        self._advance, self._at = advance, 0

    def set(self, at: int) -> None:
        """What is there already is no measure of speed."""
        self._advance(at // MB - self._at // MB, 0)
        self._at = at

    def add(self, size: int) -> None:
        """Bytes that have just come."""
        self._advance((self._at + size) // MB - self._at // MB, size)
        self._at += size


class _State(Strict):
    """name.part.json: which file the part is of."""

    url: str
    validator: str  # strong ETag or Last-Modified; the server says by it whether the file is still the same
    total: int | None


class Draft:
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

    def go_on(self, patience: Patience, meter: Meter) -> bool:
        """Get what is lacking; True if it was not got all at once.

        Raises:
            Again: the connection broke off, or the server's file is another one by now.
            BenchError: what is offered cannot be the file.
            EnvironmentFault: no network, a server that refuses, no room on the disk.
        """
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

    def _receive(self, answer: http.client.HTTPResponse, sizes: tuple[int, int | None, int], meter: Meter) -> None:
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
