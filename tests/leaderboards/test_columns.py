"""Rows -> tables for people: what stands in a cell, what is said below, who never meets whom."""

import msgspec
import pytest

from leaderboards.columns import tables
from leaderboards.standing import Standing
from leaderboards.summary import Interval
from leaderboards.table import rows

DICE = "dice:v1"


def cells(table, row=0):
    return {name: cell.text for name, cell in zip(table.columns, table.rows[row], strict=True)}


def test_what_all_rows_share_is_said_once_below(make):
    made, _ = rows([make(), make(method="gce")])
    table = tables(made)[0]
    assert "machine" not in table.columns and "machine: Some CPU, ? cores" in table.note
    made, _ = rows([make(), make(method="gce", machine={"cpu": "Other", "cores": "1"})])
    assert [row[tables(made)[0].columns.index("machine")].text for row in tables(made)[0].rows] == [
        "Other, 1 core",
        "Some CPU, ? cores",
    ]


def test_cells_read_as_in_a_paper(make, score):
    made, _ = rows([make((score(tp=8), score("p2", tp=6)), seed=0), make((score(tp=7), score("p2", tp=7)), seed=1)])
    table = tables(made)[0]
    found = cells(table)
    assert found["Dice"] == "0.700 ± 0.000"
    assert found["HD95 mm, median (IQR)"] == "3.0 (3.0–3.0)"
    assert found["NSD@2mm"] == "0.900 ± 0.000"
    assert "test subjects: 2; seeds: 2; missed / false / invalid: 0/0/0; verified: 0 rules;" in table.note
    assert (found["s/case"], found["train samples /s"], found["peak MiB"]) == ("2.00", "50.0", "900")


def test_per_label_adds_a_column_per_label(make, score):
    made, _ = rows([make((score(label="liver"), score(label="spleen", tp=4)))])
    assert {"Dice liver", "Dice spleen"} < set(tables(made, per_label=True)[0].columns)


def test_phantoms_are_named_as_such_and_come_last(make):
    found = [table.title for table in tables(rows([make(dataset="phantom-acdc"), make()])[0])]
    assert found[0].startswith("acdc · split default")
    assert found[1].startswith("phantom-acdc · made-up patients · split default")


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "full"},
        {"definitions": {"protocol": "semi10:v2", "record": "1"}},
        {"annotator": "expert"},
        {"selection": "best"},
        {"draw": "seven-patients"},
    ],
)
def test_what_may_not_be_compared_stands_in_a_block_of_its_own_that_says_so(make, change):
    table = tables(rows([make(), make(**change)])[0])[0]
    assert [len(block.rows) for block in table.blocks] == [1, 1]
    assert table.blocks[0].title != table.blocks[1].title


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "chaos-ct"},
        {"digests": {"dataset": "ef" * 32, "split": "cd" * 32}},
        {"split": "published"},
        {"fold": 1},
        {"task": "value"},
        {"definitions": {"protocol": "semi10:v1", "distances": "v2"}},
    ],
)
def test_other_data_or_definitions_stand_in_another_table(make, change):
    assert len(tables(rows([make(), make(**change)])[0])) == 2


def test_a_newer_metric_stands_in_another_table(make, score):
    newer = msgspec.structs.replace(score(), metrics={"dice:v2": 0.8})
    assert len(tables(rows([make(), make((newer,), seed=1)])[0])) == 2


def told(row, **standing):
    fields = {
        "rank": 1,
        "low": 1,
        "high": 2,
        "first": 0.7,
        "rank_then_mean": 1.2,
        "tied": (),
        "beats": (),
        "verdict": "",
    }
    return msgspec.structs.replace(row, standings={DICE: Standing(**(fields | standing))})


def test_an_interval_says_when_it_knows_one_seed_only(make):
    made, _ = rows([make(), make(method="gce")])
    intervals = [Interval(mean=0.8, low=0.7, high=0.9, df=5.0, seeds=seeds) for seeds in (True, False)]
    made = [msgspec.structs.replace(row, intervals={DICE: found}) for row, found in zip(made, intervals, strict=True)]
    table = tables(made)[0]
    assert [cells(table, i)["95 % interval"] for i in range(2)] == ["[0.700, 0.900]", "[0.700, 0.900]†"]
    assert "† one seed: the interval holds patients alone" in table.note


def test_a_rank_shows_its_interval_and_counts_inside_a_block(make):
    made, _ = rows([make(), make(method="gce"), make(protocol="full")])
    made = [told(row, rank=n) if row.section.protocol == "semi10" else row for n, row in enumerate(made)]
    table = tables(made)[0]
    assert [cells(table, i)["rank by Dice"] for i in range(3)] == ["", "1 [1–2]", "2 [1–2]"]
    assert [row[table.columns.index("rank by Dice")].value for row in table.rows] == [None, 1, 2]


def test_the_level_of_verification_is_told(make):
    record = make()
    made, _ = rows([record, make(method="gce")], {record.id(): 1})
    table = tables(made)[0]
    assert {cells(table, i)["verified"] for i in range(2)} == {"0 rules", "1 re-scored"}


def test_a_column_without_a_single_value_is_not_there(make):
    table = tables(rows([make(train=None)])[0])[0]
    assert "train samples /s" not in table.columns and "s/case" in table.columns


def test_what_the_tests_say_is_said_below_once_for_all_or_row_by_row(make):
    made, _ = rows([make(), make(method="gce"), make(protocol="full")])
    full, *semi = made
    same = [told(row, verdict="cannot be told apart: 1 patient") for row in semi]
    notes = tables([full, *same])[0].notes
    assert notes[1:] == ("semi10:v1 · labels seen: dense, by Dice: cannot be told apart: 1 patient",)
    apart = [told(semi[0], verdict="better than gce"), told(semi[1], verdict="worse than it")]
    names = [row.method for row in semi]
    expected = f"by Dice: {names[0]}: better than gce. {names[1]}: worse than it"
    assert tables([full, *apart])[0].notes[1].endswith(expected)
    brief, whole = tables([full, *apart], brief=True)[0], tables([full, *apart])[0]
    assert brief.notes == whole.notes[:1] and set(whole.columns) - set(brief.columns) >= {"rank by Dice", "s/case"}
    more = [told(row, verdict="single seed") for row in rows([make(method=name) for name in "abcd"])[0]]
    assert tables([*apart, *more])[0].notes[1].endswith(f"{expected}. 4 rows: single seed")
    standing = apart[0].standings["dice:v1"]
    unlike = {"dice:v1": msgspec.structs.replace(standing, rank_then_mean=standing.rank + 1.5)}
    line = tables([msgspec.structs.replace(apart[0], standings=unlike), apart[1]])[0].notes[1]
    ranks = f"{standing.rank + 1.5:.1f}, not {standing.rank}"
    assert line.endswith(f"{expected}. patient by patient other ranks: {names[0]} {ranks}")


def test_a_row_whose_seeds_ran_on_several_machines_has_no_speed(make):
    made, _ = rows([make(), make(seed=1, machine={"cpu": "Other"}), make(method="gce")])
    row = next(row for row in made if row.method == "supervised")
    assert (row.train_items_per_s, row.seconds_per_case) == (None, None)
    assert row.machine == "Other, ? cores, Some CPU, ? cores" and row.peak_host_mib == 900.0


def test_blocks_of_which_the_same_is_said_share_the_line(make):
    records = [make(method=m, protocol=p) for m in ("a", "b") for p in ("full", "semi10")]
    made = [told(row, verdict="cannot be told apart") for row in rows(records)[0]]
    [line] = tables(made)[0].notes[1:]
    assert line == ("full · labels seen: dense / semi10:v1 · labels seen: dense, by Dice: cannot be told apart")
