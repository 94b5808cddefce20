"""`bench run`, `train`, `predict` and `view` as typed."""

import json
import shutil

import pytest
from tiny import tiny_dataset

from bench.cli import main
from bench.splits import freeze_default

QUICK = [
    *("--preset", "demo", "--device", "cpu", "--deterministic"),
    *("--set", "train.steps=3", "--set", "train.patch=[16,16]", "--set", "train.batch=2", "--set", "train.threads=1"),
    *("--set", "train.net={widths=[4,8],dropout=[0,0]}"),
]


@pytest.fixture
def data(tmp_path):
    """A data folder with the tiny dataset in it."""
    freeze_default(tiny_dataset(tmp_path / "data" / "tiny", 10))
    return tmp_path / "data"


def bench(*arguments):
    """Exit code of one command line."""
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return left.value.code


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def run(data, *more):
    return bench("run", "--data", data, "--runs", data.parent / "runs", "--dataset", "tiny", *QUICK, *more)


def test_several_seeds_make_several_records(data, capsys):
    assert run(data, "--protocol", "semi20", "--seed", "0,1", "--json") == 0
    records = lines(capsys)
    assert [record["seed"] for record in records] == [0, 1]
    assert len(list((data.parent / "runs").rglob("record.json"))) == 2
    assert all(record["train"]["items"] == 6 for record in records)


def test_a_run_ends_with_its_row(data, capsys):
    assert run(data) == 0
    out, err = capsys.readouterr()
    assert "supervised" in out
    assert "Dice" in out
    assert "record.json" in err


def test_a_finished_run_can_be_asked_for_again_when_its_view_is_gone(data, capsys):
    assert run(data) == 0
    (view,) = (data.parent / "runs").rglob("view")
    shutil.rmtree(view)
    assert run(data) == 0
    assert "record.json" in capsys.readouterr().err


def test_a_dry_run_tells_the_plan_and_writes_nothing(data, capsys):
    assert run(data, "--protocol", "semi10", "--dry-run", "--json") == 0
    (told,) = lines(capsys)
    assert len(told["labelled_subjects"]) == 1
    assert told["done"] is False
    assert told["preset"] == "demo"
    assert not (data.parent / "runs").exists()


def test_the_whole_recipe_can_be_shown(data, capsys):
    assert run(data, "--show-config", "--draw", "4", "--method", "gce") == 0
    (told,) = lines(capsys)
    assert (told["draw"], told["train"]["method"], told["train"]["steps"]) == (4, "gce", 3)


@pytest.mark.fault(61, 62, 63)
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--dataset", "chaoss"], 2, "Did you mean 'chaos'"),
        (["--dataset", "chaos"], 3, "bench convert chaos FOLDER"),
        (["--dataset", "phantom-acdc"], 3, "bench phantom acdc"),
        (["--dataset", "tiny", "--protocol", "semi0"], 2, "semi"),
        (["--dataset", "tiny", "--protocol", "semy10"], 2, "Did you mean 'semi10'"),
        (["--dataset", "tiny", "--method", "meanteacher"], 2, "Did you mean 'mean_teacher'"),
        (["--dataset", "tiny", "--preset", "cpus"], 2, "Did you mean 'cpu'"),
        (["--dataset", "tiny", "--split", "defualt"], 2, "Did you mean 'default'"),
        (["--dataset", "tiny", "--protocol", "semi10", "--draw", "ssl4mis"], 2, "ssl4mis"),
        (["--dataset", "tiny", "--seed", "x"], 2, "--seed"),
        (["--dataset", "tiny", "--set", "train.stepz=3"], 3, "stepz"),
        (["--dataset", "tiny", "--set", "train.steps=-1"], 3, "train.steps"),
        (["--dataset", "tiny", "--set", "train.options.wieght=1"], 2, "option"),
        (["--dataset", "tiny", "--device", "cuda:7"], 4, "--device cpu"),
        (["--dataset", "tiny", "--plugin", "nowhere.py", "--method", "nowhere"], 2, "no plugin file"),
        (["--dataset", "tiny", "--protocol", "scribble", "--annotator", "expert"], 3, "no expert scribbles"),
    ],
)
def test_what_cannot_be_done_is_said_with_its_exit_code(data, capsys, arguments, code, said):
    runs = data.parent / "runs"
    assert bench("run", "--data", data, "--runs", runs, "--preset", "cpu", *arguments) == code
    assert said in capsys.readouterr().err
    assert not list(runs.rglob("record.json"))


def test_each_phase_can_be_called_alone(data, capsys):
    view, model, out = (data.parent / name for name in ("view", "model", "predictions"))
    dataset = ["--data", data]
    assert bench("view", "tiny", "--protocol", "semi20", "--out", view, *dataset) == 0
    assert bench("train", view, "--out", model, *QUICK) == 0
    assert (
        bench("predict", model, "--dataset", "tiny", "--split", "default", "--out", out, "--device", "cpu", *dataset)
        == 0
    )
    capsys.readouterr()
    assert bench("score", out, data / "tiny", "--split", "default", "--json") == 0
    assert {line["label"] for line in lines(capsys) if "label" in line} == {"right", "wall", "left"}
