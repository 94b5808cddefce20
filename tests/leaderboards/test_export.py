"""Rows -> data: CSV, JSON and the CSV of challengeR hold every number, and names that start no formula."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converters.errors import UsageError
from leaderboards.collect import load
from leaderboards.export import challenger, csv_text, json_text
from leaderboards.standing import Standing
from leaderboards.summary import Interval
from leaderboards.table import rows

GOLDEN = Path(__file__).parent / "golden"  # never rewritten: a record is readable for ever
DICE = "dice:v1"


def read(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.fault(79)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60))
def test_any_name_comes_back_from_csv_and_json(make, name):
    made, _ = rows([make(method=name)])
    cell = read(csv_text(made))[0]["method"]
    assert cell.removeprefix("'") == name or (cell == name and not name.startswith("'"))
    assert not cell.startswith(("=", "+", "-", "@", "\t"))
    assert json.loads(json_text(made))["method"] == name


def test_a_negative_number_stays_a_number_in_csv(make, score):
    odd = msgspec.structs.replace(score(), metrics={**score().metrics, "rvd:v1": -3.5})
    assert read(csv_text(rows([make((odd,))])[0]))[0]["rvd:v1 mean"] == "-3.5"


def test_half_a_name_is_no_cell_where_semicolons_separate(make):
    lines = csv_text(rows([make(method="a;=1+1")])[0]).splitlines()
    assert '"a;=1+1"' in lines[1]


def test_csv_has_one_line_per_label_and_one_for_their_mean(make, score):
    table = read(csv_text(rows([make((score(label="liver"), score(label="spleen", tp=4)))])[0]))
    assert [line["label"] for line in table] == ["(mean over labels)", "liver", "spleen"]
    assert [float(line["dice:v1 mean"]) for line in table] == pytest.approx([0.6, 0.8, 0.4])
    assert {line["machine"] for line in table} == {"Some CPU, ? cores"}


def test_intervals_and_standings_are_in_csv_and_json(make):
    standing = Standing(
        rank=1, low=1, high=2, first=0.7, rank_then_mean=1.2, tied=("gce",), beats=("a", "b"), verdict="told"
    )
    interval = Interval(mean=0.8, low=0.7, high=0.9, df=None, seeds=False)
    row = rows([make()])[0][0]
    row = msgspec.structs.replace(row, intervals={DICE: interval}, standings={DICE: standing})
    mean, label = read(csv_text([row]))
    assert (mean["dice:v1 interval low"], mean["dice:v1 interval df"]) == ("0.7", "")
    assert (mean["dice:v1 standing rank_then_mean"], mean["dice:v1 standing beats"]) == ("1.2", "a; b")
    assert label["dice:v1 standing rank"] == ""
    found = json.loads(json_text([row]))
    assert found["standings"][DICE]["tied"] == ["gce"] and found["intervals"][DICE]["high"] == 0.9


def test_the_last_bit_of_a_double_changes_no_byte(make, score):
    made = [
        rows([make((msgspec.structs.replace(score(), metrics={"masd:v1": value}),))])[0] for value in (0.1 + 0.2, 0.3)
    ]
    made = [[msgspec.structs.replace(row, runs=()) for row in each] for each in made]
    assert csv_text(made[0]) == csv_text(made[1]) and json_text(made[0]) == json_text(made[1])


def test_json_is_one_row_a_line_with_everything_in_it(make):
    lines = json_text(rows([make()])[0]).splitlines()
    assert len(lines) == 1
    assert json.loads(lines[0])["macro"]["dice:v1"]["mean"] == 0.8


def test_the_same_records_give_the_same_bytes(make, score):
    records = [make((score(tp=tp),), seed=tp, method=m) for tp in (3, 8) for m in ("gce", "supervised")]
    for form in (csv_text, json_text, lambda made: challenger(made, records, "dice")):
        assert form(rows(records)[0]) == form(rows(records[::-1])[0])


def test_challenger_has_a_line_per_patient_and_method_averaged_over_images_and_seeds(make, score):
    def scored(*hits):
        return tuple(score(f"p1-{phase}", tp=tp) for phase, tp in zip(("ed", "es"), hits, strict=True))

    records = [make(scored(8, 6), seed=0), make(scored(4, 6), seed=1), make(scored(1, 1), method="gce")]
    table = read(challenger(rows(records)[0], records, "dice"))
    assert [tuple(line.values())[:3] for line in table] == [
        ("acdc/semi10/liver", "p1", "supervised"),
        ("acdc/semi10/liver", "p1", "gce"),
    ]
    assert [float(line["value"]) for line in table] == pytest.approx([0.6, 0.1])


def test_challenger_counts_a_missed_structure_as_the_tables_do_and_an_absent_one_not(make, score):
    records = [make((score("p1", status="missed"), score("p2", status="both_empty"), score("p3")))]
    made, _ = rows(records)
    assert [line["value"] for line in read(challenger(made, records, "dice"))] == ["0.0", "NA", "0.8"]
    assert [line["value"] for line in read(challenger(made, records, "hd95"))] == ["400.0", "NA", "3.0"]


def test_challenger_gives_sections_of_one_name_tasks_of_their_own(make):
    records = [make(), make(selection="best"), make(protocol="full")]
    tasks = [line["task"] for line in read(challenger(rows(records)[0], records, "nsd@2mm"))]
    assert tasks == [
        "acdc/full/liver",
        "acdc/semi10/selection=best/liver",
        "acdc/semi10/selection=last/liver",
    ]


def test_a_metric_that_is_not_there_or_not_one_is_refused(make, score):
    two = msgspec.structs.replace(score(), metrics={"nsd@1mm:a:v1": 0.5, "nsd@2mm:a:v1": 0.9})
    records = [make((two,))]
    for metric in ("dyce", "nsd"):
        with pytest.raises(UsageError, match=metric):
            challenger(rows(records)[0], records, metric)


@pytest.mark.fault(77)
def test_records_of_every_format_are_read_and_give_the_row_they_gave():
    found = sorted(GOLDEN.glob("row-*.json"))
    assert found
    for path in found:
        collected = load([path.with_name(path.name.replace("row", "record"))])
        assert collected.problems == []
        row = json.loads(json_text(rows(collected.records)[0]))
        expected = json.loads(path.read_text())
        assert {key: row[key] for key in expected} == expected
