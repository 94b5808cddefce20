"""Rows -> text: escaping per format (faults row 79), folding, blocks of a README, bytes."""

import csv
import html
import io
import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.errors import BenchError
from leaderboards.collect import load
from leaderboards.render import csv_text, escape_markdown, fill, json_text, markdown, tables, visible
from leaderboards.table import rows

GOLDEN = Path(__file__).parent / "golden"  # never rewritten: a record is readable for ever
NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "'x",
    "a|b",
    "a\nb",
    'a"b,c',
    "<script>",
    "_x_",
    "*x*",
    "[a](b)",
    "\\",
    "a`b",
]


def one(make, **fields):
    return rows([make(**fields)])[0]


@pytest.mark.parametrize("name", NASTY)
def test_names_come_back_from_csv_and_start_no_formula(make, name):
    table = list(csv.DictReader(io.StringIO(csv_text(one(make, method=name)))))
    cell = table[0]["method"]
    assert cell.removeprefix("'") == name or (cell == name and not name.startswith("'"))
    assert not cell.startswith(("=", "+", "-", "@", "\t"))


def test_a_negative_number_stays_a_number_in_csv(make, score):
    odd = msgspec.structs.replace(score(), metrics={**score().metrics, "rvd:v1": -3.5})
    table = list(csv.DictReader(io.StringIO(csv_text(rows([make((odd,))])[0]))))
    assert table[0]["rvd:v1 mean"] == "-3.5"


def test_csv_has_one_line_per_label_and_one_for_their_mean(make, score):
    table = list(
        csv.DictReader(io.StringIO(csv_text(one(make, cases=(score(label="liver"), score(label="spleen", tp=4))))))
    )
    assert [line["label"] for line in table] == ["(mean over labels)", "liver", "spleen"]
    assert [float(line["dice:v1 mean"]) for line in table] == pytest.approx([0.6, 0.8, 0.4])


@pytest.mark.parametrize("name", NASTY)
def test_a_name_takes_one_markdown_cell_and_comes_back(make, name):
    lines = markdown(one(make, method=name)).splitlines()
    header, body = lines[2], lines[4]
    cells = re.split(r"(?<!\\)\|", body)
    assert len(cells) == len(header.split("|"))
    back = re.sub(r"\\(.)", r"\1", html.unescape(cells[3].strip()))
    assert back == visible(name).strip()


@given(st.text())
def test_markdown_never_lets_markup_or_control_characters_through(text):
    shown = escape_markdown(text)
    assert not re.search(r"[<>\n\r\t]|(?<!\\)\|", shown.replace("\\\\", ""))
    assert all(character.isprintable() for character in shown)


def test_a_flood_of_text_is_cut():
    assert len(visible("x" * 10_000)) == 80


def test_reading_direction_cannot_be_turned():
    assert visible("abc\u202ecod.exe") == "abc\\u202ecod.exe"


def test_what_all_rows_share_is_said_once_below(make):
    made, _ = rows([make(), make(method="gce")])
    table = tables(made)[0]
    assert "machine" not in table.columns and "machine: Some CPU, ? cores" in table.note
    made, _ = rows([make(), make(method="gce", machine={"cpu": "Other"})])
    assert "machine" in tables(made)[0].columns


def test_cells_read_as_in_a_paper(make, score):
    made, _ = rows([make((score(tp=8), score("p2", tp=6)), seed=0), make((score(tp=7), score("p2", tp=7)), seed=1)])
    table = tables(made)[0]
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["Dice"] == "0.700 ± 0.000"
    assert cells["HD95 mm, median (IQR)"] == "3.0 (3.0–3.0)"
    assert cells["NSD@2mm"] == "0.900 ± 0.000"
    assert "test subjects: 2; seeds: 2; missed / false / invalid: 0/0/0;" in table.note
    assert cells["s/case"] == "2.00"
    assert cells["train samples /s"] == "50.0"
    assert cells["peak MiB"] == "900"


def test_per_label_adds_a_column_per_label(make, score):
    made = one(make, cases=(score(label="liver"), score(label="spleen", tp=4)))
    assert {"Dice liver", "Dice spleen"} < set(tables(made, per_label=True)[0].columns)


def test_phantoms_are_named_as_such(make):
    text = markdown(rows([make(dataset="phantom-acdc"), make()])[0])
    assert "**phantom-acdc · made-up patients · split default" in text
    assert text.index("**acdc") < text.index("**phantom-acdc")


def test_the_same_records_give_the_same_bytes(make, score):
    records = [make((score(tp=tp),), seed=tp, method=m) for tp in (3, 8) for m in ("gce", "supervised")]
    for render in (markdown, csv_text, json_text):
        assert render(rows(records)[0]) == render(rows(records[::-1])[0])


def test_json_is_one_row_a_line_with_everything_in_it(make):
    lines = json_text(one(make)).splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["macro"]["dice:v1"]["mean"] == 0.8


README = "Intro\n<!-- table:acdc -->\nold\n<!-- /table -->\nEnd\n"


def test_a_readme_block_is_made_anew_and_the_rest_is_kept(make):
    made = one(make)
    filled = fill(README, made)
    assert filled.startswith("Intro\n<!-- table:acdc -->\n") and filled.endswith("<!-- /table -->\nEnd\n")
    assert "old" not in filled and "| semi10 |" in filled
    assert fill(filled, made) == filled


def test_a_block_without_records_or_a_text_without_blocks_is_an_error(make):
    with pytest.raises(BenchError, match="no record for the table 'acdc'"):
        fill(README, one(make, dataset="chaos-ct"))
    with pytest.raises(BenchError, match="no block"):
        fill("text", one(make))


def test_records_of_every_format_are_read_and_give_the_table_they_gave():
    for path in sorted(GOLDEN.glob("record-*.json")):
        records, problems, _ = load([path])
        assert problems == []
        assert (
            markdown(rows(records)[0])
            == path.with_name(path.name.replace("record", "table")).with_suffix(".md").read_text()
        )
