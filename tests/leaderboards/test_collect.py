"""Records from disk: what is found, and what is reported and left out (faults row 77)."""

import json

import msgspec
import pytest

from converters.errors import BenchError
from leaderboards.collect import load
from leaderboards.record import FORMAT
from leaderboards.rules import faults


@pytest.fixture
def runs(tmp_path, make):
    """A folder with one good record in it."""
    make().save(tmp_path / "runs" / "a" / "record.json")
    return tmp_path / "runs"


def test_records_are_found_in_the_tree_and_in_results_and_nothing_else(runs, make):
    (runs / "a" / "config.json").write_text("{}")
    make(seed=1).save(runs.parent / "leaderboards" / "results" / "acdc" / "one.json")
    records, problems, _ = load([runs, runs.parent / "leaderboards"])
    assert [record.seed for record in records] == [1, 0]
    assert problems == []


def test_a_file_may_be_named_itself(runs):
    records, *_ = load([runs / "a" / "record.json", runs])
    assert len(records) == 1


def test_a_path_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(BenchError, match="no such file"):
        load([tmp_path / "rnus"])


def broken(record, change):
    value = json.loads(msgspec.json.encode(record))
    value.update(change)
    return json.dumps(value)


@pytest.mark.fault(77)
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (lambda r: msgspec.json.encode(r).decode()[:-40], "truncated"),
        (lambda r: broken(r, {"format": 99, "shape": "new"}), "record format 99 is newer"),
        (lambda r: broken(r, {"unknown_key": 1}), "unknown_key"),
        (lambda r: broken(r, {"seed": "one"}), "seed"),
        (lambda r: broken(r, {"cases": []}), "not one scored case"),
        (lambda r: msgspec.json.encode(r).decode().replace("0.8", "NaN", 1), "record.json"),
        (lambda r: "", "record.json"),
        (lambda r: "[1]", "record.json"),
    ],
)
def test_a_broken_record_is_named_and_the_others_are_read(runs, make, text, said):
    (runs / "b").mkdir()
    (runs / "b" / "record.json").write_text(text(make()))
    records, problems, _ = load([runs])
    assert len(records) == 1
    assert len(problems) == 1
    assert said in problems[0] and "b/record.json" in problems[0] and problems[0].endswith("left out")


@pytest.mark.fault(77)
def test_a_copy_counts_once_and_is_named(runs, make):
    make().save(runs / "b" / "record.json")
    records, problems, _ = load([runs])
    assert len(records) == 1
    assert "the same record as" in problems[0] and "b/record.json" in problems[0]


@pytest.mark.fault(67, 77)
def test_a_refused_run_says_why(runs, make):
    make((), status="skipped", reason="needs 3D").save(runs / "b" / "record.json")
    records, problems, _ = load([runs])
    assert len(records) == 1
    assert problems[0].endswith("skipped: needs 3D")


def edited(score, **fields):
    return msgspec.structs.replace(score, **fields)


@pytest.mark.fault(77)
def test_scores_edited_by_hand_contradict_their_counts(make, score):
    one = score(tp=8)
    assert faults(make((one,))) == []
    better = edited(one, metrics={**one.metrics, "dice:v1": 0.95})
    assert faults(make((better,))) == ["case p1, liver: Dice 0.950000 is not 0.800000, which its counts give"]


@pytest.mark.fault(77)
@pytest.mark.parametrize(
    "fields", [{"tp": -1}, {"diagonal_mm": 0.0}, {"status": "missed"}, {"status": "both_empty"}, {"status": "false"}]
)
def test_counts_that_cannot_be_are_a_fault(make, score, fields):
    assert len(faults(make((edited(score(), **fields),)))) == 1


def test_a_case_scored_twice_is_a_fault(make, score):
    assert "twice" in faults(make((score(), score())))[0]


@pytest.mark.fault(77)
def test_the_table_is_made_of_what_is_sound_and_every_other_file_is_a_line_on_stderr(bench, runs, make, score):
    plain = json.loads(msgspec.json.encode(make()))
    better = {**plain["cases"][0]["metrics"], "dice:v1": 0.99}
    spoilt = {
        "truncated": json.dumps(plain)[:-200],
        "nan": json.dumps(plain).replace("0.8", "NaN", 1),
        "edited": json.dumps(plain | {"cases": [plain["cases"][0] | {"metrics": better}]}),
        "newer": json.dumps(plain | {"format": FORMAT + 1}),
        "strange": json.dumps({"schema": "mine/9", "scores": []}),
        "twice": json.dumps(plain),
    }
    for name, text in spoilt.items():
        (runs / name).mkdir()
        (runs / name / "record.json").write_text(text)
    make((score(tp=5),), method="gce").save(runs / "other" / "record.json")
    done = bench("table", runs, "--json")
    assert done.code == 0
    assert [json.loads(line)["method"] for line in done.out.splitlines()] == ["supervised", "gce"]
    told = done.err.splitlines()
    assert len(told) == len(spoilt)
    for name in spoilt:
        (line,) = [line for line in told if f"{name}/record.json" in line]
        assert line.endswith("counted once" if name == "twice" else "left out")


@pytest.mark.fault(77)
@pytest.mark.parametrize("depth", [60, 970, 100_000])
def test_a_record_nested_without_end_is_left_out_like_any_other_that_is_broken(runs, depth):
    file = runs / "deep" / "record.json"
    file.parent.mkdir()
    text = next(runs.rglob("record.json")).read_text()
    file.write_text(text.replace('"recipe": {', '"recipe": {"x": ' + "[" * depth + "]" * depth + ",", 1))
    found = load([runs])
    assert [str(file) in problem for problem in found.problems] == [True]
