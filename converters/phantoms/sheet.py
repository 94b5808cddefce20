"""Made-up Excel files: one sheet in the records of BIFF5, as Excel 95 wrote them, without the container around it."""

import struct
from collections.abc import Sequence

from converters.phantoms.mark import TOKEN

_BOF, _EOF, _CODEPAGE, _WRITEACCESS, _BOUNDSHEET = 0x0809, 0x000A, 0x0042, 0x005C, 0x0085
_DIMENSIONS, _NUMBER, _LABEL = 0x0200, 0x0203, 0x0204
_GLOBALS, _WORKSHEET = 0x0005, 0x0010
_LATIN = 1252


def workbook(sheet: str, rows: Sequence[Sequence[str | float | None]]) -> bytes:
    """A file with that one sheet; None is an empty cell. Its author is the phantom mark."""
    columns = max(map(len, rows))
    cells = [_cell(y, x, value) for y, row in enumerate(rows) for x, value in enumerate(row) if value is not None]
    page = [_start(_WORKSHEET), _record(_DIMENSIONS, struct.pack("<5H", 0, len(rows), 0, columns, 0)), *cells]
    author = _record(_WRITEACCESS, _text(TOKEN, "B").ljust(32))
    head = _start(_GLOBALS) + _record(_CODEPAGE, struct.pack("<H", _LATIN)) + author
    name = _text(sheet, "B")
    place = len(head) + 4 + 6 + len(name) + 4  # of the sheet: behind its own entry and the end of the globals
    entry = _record(_BOUNDSHEET, struct.pack("<iBB", place, 0, 0) + name)
    return head + entry + _record(_EOF, b"") + b"".join(page) + _record(_EOF, b"")


def _cell(row: int, column: int, value: str | float) -> bytes:
    at = struct.pack("<3H", row, column, 0)
    if isinstance(value, str):
        return _record(_LABEL, at + _text(value, "H"))
    return _record(_NUMBER, at + struct.pack("<d", value))


def _start(kind: int) -> bytes:
    return _record(_BOF, struct.pack("<4H", 0x0500, kind, 0x0DBB, 1996))


def _text(value: str, length: str) -> bytes:
    data = value.encode("cp1252")
    return struct.pack(f"<{length}", len(data)) + data


def _record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data
