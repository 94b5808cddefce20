import io
import zipfile
from pathlib import Path

import pytest

from converters.errors import BenchError
from converters.phantoms.mark import is_phantom
from converters.phantoms.sheet import workbook
from converters.spreadsheet import numbers

ROWS = [
    ["IXI_ID", "AGE ", "DOB"],
    [2.0, 35.5, "1970-01-01"],
    [3.0, None, 23809.0],
    [4.0, "41.25", "x"],
    [5.0, "nan", ""],
]


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "people.xls"
    path.write_bytes(workbook("Table", ROWS))
    return path


def test_the_columns_asked_for_come_as_numbers_or_nothing(sheet: Path) -> None:
    assert numbers(sheet, "Table", ("AGE", "IXI_ID")) == [
        {"AGE": 35.5, "IXI_ID": 2.0},
        {"AGE": None, "IXI_ID": 3.0},
        {"AGE": 41.25, "IXI_ID": 4.0},
        {"AGE": None, "IXI_ID": 5.0},
    ]
    assert is_phantom(sheet)


def test_a_sheet_or_a_column_that_is_not_there_is_named(sheet: Path) -> None:
    with pytest.raises(BenchError, match=r"people\.xls: has no sheet 'Sheet1'"):
        numbers(sheet, "Sheet1", ("AGE",))
    with pytest.raises(BenchError, match="sheet 'Table' has no column WEIGHT"):
        numbers(sheet, "Table", ("AGE", "WEIGHT"))


def test_other_files_under_its_name_are_told_apart(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    for data, told in (
        (packed.getvalue(), "is a newer Excel file"),
        (b"\n<!DOCTYPE html><p>not found", "is HTML, the download failed"),
        (b"", "no readable .xls file"),
        (b"IXI_ID,AGE\n1,2\n", "no readable .xls file"),
    ):
        path = tmp_path / "IXI.xls"
        path.write_bytes(data)
        with pytest.raises(BenchError, match=told):
            numbers(path, "Table", ("AGE",))


def test_no_cut_or_damage_ends_in_anything_but_a_told_fault(
    shared_data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = (shared_data / "ixi" / "IXI.xls").read_bytes()
    wanted = numbers(shared_data / "ixi" / "IXI.xls", "Table", ("IXI_ID", "AGE"))
    assert len(wanted) == 19
    path = tmp_path / "IXI.xls"
    refused = 0
    damaged = [whole[:size] for size in range(1, len(whole), 509)]
    damaged += [whole[:at] + bytes([whole[at] ^ 0x5A]) + whole[at + 1 :] for at in range(0, len(whole), 997)]
    for data in damaged:
        path.write_bytes(data)
        try:
            numbers(path, "Table", ("IXI_ID", "AGE"))
        except BenchError as error:
            refused += 1
            assert "1968" not in str(error)  # a birth year in its cells
    assert refused > len(damaged) / 2
    assert capfd.readouterr() == ("", "")  # xlrd would tell of it on stdout
