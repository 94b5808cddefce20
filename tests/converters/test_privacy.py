"""Nothing that identifies a person leaves a source file: names and dates planted in every place are in no output."""

import importlib
import logging
import re
from pathlib import Path

import pytest
from planted import NOTE, WORDS, plant
from said import said

from bench.catalogue import phantoms
from converters.phantoms import folder, ixi
from converters.workers import each

KINDS = [name for name in folder.Kind.__args__ if name != folder.Quirks().kind]
LAYOUTS = {source: (source, {}) for source in phantoms()}
LAYOUTS |= {f"folder of {kind}": ("folder", {"quirks": folder.Quirks(kind=kind)}) for kind in KINDS}


@pytest.fixture
def person(tmp_path, request) -> tuple[str, Path, Path]:
    """A made-up raw folder with a person's name above it and in every file, and where its datasets will lie."""
    source, quirks = LAYOUTS[request.param]
    raw = tmp_path / f"Mustermann_Erika_{request.param.replace(' ', '-')}" / "raw"
    importlib.import_module(f"converters.phantoms.{source}").write(raw, 2, 0, **quirks)
    assert plant(raw)
    return source, raw, tmp_path / "data"


def found(data: bytes) -> list[bytes]:
    """Planted words in the bytes, in one byte a letter or two. A digest may spell a year, and is left out."""
    low = re.sub(rb"\b[0-9a-f]{64}\b", b"", data.lower())
    return [word for word in WORDS if word in low or word.decode().encode("utf-16-le") in low]


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file() and not path.name.startswith("._")]


def given_away(root: Path) -> dict[str, list[bytes]]:
    told = {path.relative_to(root).as_posix(): found(path.name.encode() + b"\n" + said(path)) for path in files(root)}
    return {name: words for name, words in told.items() if words}


@pytest.mark.fault(81)
@pytest.mark.parametrize("person", LAYOUTS, indirect=True)
def test_nothing_planted_in_a_source_file_reaches_an_output_or_a_log(person, bench, caplog, recwarn):
    source, raw, data = person
    before = [path for path in files(raw) if found(said(path))]
    assert before
    caplog.set_level(logging.DEBUG)
    outcome = bench("convert", source, raw, data, "--debug")
    assert outcome.code == 0, outcome.err
    told = [outcome.out, outcome.err, caplog.text, *(str(warning.message) for warning in recwarn)]
    assert [words for text in told if (words := found(text.encode()))] == []
    assert len(files(data)) > 5
    assert given_away(data) == {}


@pytest.mark.fault(81)
@pytest.mark.parametrize("person", LAYOUTS, indirect=True)
@pytest.mark.parametrize("spoil", ["halved", "scrambled"])
def test_no_message_about_a_broken_file_quotes_it(person, bench, caplog, spoil):
    source, raw, data = person
    for path in files(raw):
        content = path.read_bytes()
        half = content[: len(content) // 2]
        if path.suffix not in (".toml", ".xls"):
            path.write_bytes(half if spoil == "halved" else half + NOTE.encode() * 9 + half)
    outcome = bench("convert", source, raw, data, "--jobs", "1")
    assert outcome.code == 3 or spoil == "scrambled", outcome.err
    above = re.escape(str(raw.parent))  # the place alone is named
    for text in (outcome.out, outcome.err, caplog.text):
        assert found(re.sub(above, "", text).encode()) == [], text
    assert given_away(data) == {} if data.exists() else True


@pytest.mark.fault(81)
def test_raw_uids_stay_in_the_files(tmp_path, bench):
    from pydicom import dcmread

    from converters.phantoms import chaos

    chaos.write(tmp_path / "raw", 2, 0)
    uids = set()
    for path in (tmp_path / "raw").rglob("*.dcm"):
        read = dcmread(path, stop_before_pixels=True)
        uids |= {str(one.value) for one in read if one.VR == "UI" and "Class" not in one.keyword}
    assert len(uids) > 50
    outcome = bench("convert", "chaos", tmp_path / "raw", tmp_path / "data")
    everything = [outcome.out + outcome.err, *(said(path).decode("latin-1") for path in files(tmp_path / "data"))]
    assert [uid for uid in uids for text in everything if uid in text] == []


@pytest.mark.fault(81)
def test_of_the_table_of_persons_only_the_listed_columns_are_taken(tmp_path, bench):
    import xlrd

    ixi.write(tmp_path / "raw", 3, 0)
    sheet = xlrd.open_workbook(tmp_path / "raw" / "IXI.xls").sheet_by_index(0)
    titles = [str(cell).split(" ")[0] for cell in sheet.row_values(0)]
    days = {sheet.cell_value(row, titles.index(t)) for t in ("DOB", "STUDY_DATE") for row in range(1, sheet.nrows)}
    days = {f"{day}" for day in days if len(f"{day}") > 7}
    assert len(days) > 20
    assert bench("convert", "ixi", tmp_path / "raw", tmp_path / "data").code == 0
    everything = b"\n".join(said(path) for path in files(tmp_path / "data") if path.suffix != ".gz")
    assert b"age_years" in everything and b"DOB" not in everything
    assert [day for day in days if day.encode() in everything] == []


def quoting(_: int) -> None:
    raise ValueError(f"could not convert string to float: '{NOTE}'")


@pytest.mark.fault(81)
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_of_a_library_is_told_without_its_words(jobs):
    errors = [result for _, result in each(quoting, [0, 1], jobs)]
    assert [found(str(error).encode()) for error in errors] == [[], []]
    assert all("ValueError" in str(error) for error in errors)
