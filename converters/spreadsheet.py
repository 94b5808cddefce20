"""Old Excel files (.xls): the numbers of the columns that are asked for; nothing else of a sheet is taken."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from converters.errors import BenchError, refuse_file
from converters.files import read

_ZIP = b"PK\x03\x04"


def numbers(path: Path, sheet: str, columns: Sequence[str]) -> list[dict[str, float | None]]:
    """The rows below the header, by column; None where a cell holds no number.

    Raises:
        BenchError: it is no .xls, or damaged, or lacks the sheet or a column.
    """
    page = _sheet(path, sheet)
    header = [str(value).strip() for value in page.row_values(0)] if page.nrows else []
    if absent := [name for name in columns if name not in header]:
        refuse_file(path, f"sheet '{sheet}' has no column {', '.join(absent)}", "take the original file")
    places = {name: header.index(name) for name in columns}
    return [{name: _number(page.cell_value(row, at)) for name, at in places.items()} for row in range(1, page.nrows)]


def _sheet(path: Path, sheet: str) -> Any:
    import xlrd

    data = read(path)
    if data.startswith(_ZIP):
        refuse_file(path, "is a newer Excel file (.xlsx)", "take the original, or save it as .xls (Excel 97-2003)")
    if data[:512].lstrip().lower().startswith((b"<!doctype", b"<html")):
        refuse_file(path, "is HTML, the download failed", "download it again")
    try:  # its notes would go to stdout
        book = xlrd.open_workbook(file_contents=data, logfile=io.StringIO())
        names = book.sheet_names()
        return (
            book.sheet_by_name(sheet) if sheet in names else refuse_file(path, f"has no sheet '{sheet}'", "see inside")
        )
    except BenchError:
        raise
    except Exception as error:  # damaged files raise anything; the message may quote cells
        refuse_file(path, f"no readable .xls file ({type(error).__name__})", "copy it again")


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
