"""Sweeps: many runs from one file, what is done stays done, what fails stops no other, what stopped goes on."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from swept import HEAD, TWO

from bench.sweep import read
from converters.errors import BenchError, UsageError
from converters.files import read_json
from converters.lock import Holder
from leaderboards.planned import Sweep
from leaderboards.record import Record

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "sweeps" / "phantom.toml"


def units(tmp_path, text):
    (tmp_path / "s.toml").write_text(text, encoding="utf-8")
    return read(tmp_path / "s.toml")


def test_what_is_written_first_turns_slowest_and_later_tables_win(tmp_path):
    made = units(
        tmp_path,
        """
        [defaults]
        dataset = "acdc"
        seed = [0, 1]
        train = { steps = 5, lr = 0.1 }
        [methods.gce.train]
        lr = 0.2
        options.q = 0.7
        [[run]]
        method = ["supervised", "gce"]
        protocol = ["full", "semi10"]
        train.window = "none"
        [[run]]
        dataset = "chaos"
        seed = 3
        method = "gce"
        train.lr = 0.3
        """,
    )
    flags = [dict(unit.flags) for unit in made]
    assert [(f["method"], f["protocol"], f["seed"]) for f in flags[:4]] == [
        ("supervised", "full", "0"),
        ("supervised", "full", "1"),
        ("supervised", "semi10", "0"),
        ("supervised", "semi10", "1"),
    ]
    assert len(made) == 9
    assert flags[8] == {"dataset": "chaos", "seed": "3", "method": "gce"}
    assert set(made[0].settings) == {"train.steps=5", "train.lr=0.1", "train.window=none"}
    assert set(made[4].settings) == {"train.steps=5", "train.lr=0.2", "train.options.q=0.7", "train.window=none"}
    assert set(made[8].settings) == {"train.steps=5", "train.lr=0.3", "train.options.q=0.7"}
    assert made[8].words[:2] == ("--dataset", "chaos") and made[8].words[-2] == "--set"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "`run`"),
        ("run = []", "length >= 1"),
        ("[[run]]\nseed = 0", "no dataset"),
        ('[[run]]\ndataset = "a"\nseed = "0,1"', "seed = 0,1 is not a whole number"),
        ('[[run]]\ndataset = "a"\nmethod = []', "method is an empty list"),
        ('[[run]]\ndataset = "a"\nprotocol = 0.5', "is not a word"),
        ('[[runs]]\ndataset = "a"', "no table of a sweep 'runs'"),
        ("[run]\nseed = 1", "Expected `array`"),
        ('methods.gce = 3\n[[run]]\ndataset = "a"', "Expected `object`"),
        ("[[run]\n", "not TOML"),
    ],
)
def test_a_file_that_is_no_sweep_is_refused_with_its_place(text, told, tmp_path):
    with pytest.raises(BenchError, match=told) as caught:
        units(tmp_path, text)
    assert isinstance(caught.value, UsageError) or "s.toml" in caught.value.where


def test_a_mistake_in_any_run_stops_the_sweep_before_the_first(sweep, data, bench):
    for wrong in (
        'method = "supervized"',
        "train.stepz = 1",
        'protocol = "semi0"',
        'dataset = "tinny"',
        'preset = "x"',
        'draw = "nobody"\nprotocol = "semi20"',
    ):
        sweep(f"{TWO}[[run]]\n{wrong}\n", code=2 if "stepz" not in wrong else 3)
    assert not (data.parent / "runs").exists()
    assert bench("sweep", data / "no.toml").code == 2


def test_the_example_is_made_once(sweep, data):
    before = sweep(EXAMPLE, "--status")
    assert {run["state"] for run in before} == {"not run"} and len(before) == 5
    assert not (data.parent / "runs").exists()
    made = sweep(EXAMPLE)
    assert [run["state"] for run in made] == ["done"] * 5
    assert all(run["steps"] == run["of"] == 40 and 0 <= run["dice"] <= 1 for run in made)
    records = [Record.load(Path(run["folder"]) / "record.json") for run in made]
    assert [(r.protocol, r.method, r.seed) for r in records[:4]] == [
        ("semi20", "supervised", 0),
        ("semi20", "mean_teacher", 0),
        ("semi20", "supervised", 1),
        ("semi20", "mean_teacher", 1),
    ]
    assert records[1].recipe["train"]["options"] == {"weight": 1.0} != records[0].recipe["train"]["options"]
    assert records[4].selection == "best_val" and list(records[4].chosen.dice) == [20, 40]
    stamps = [(Path(run["folder"]) / "model" / "model.safetensors").stat().st_mtime_ns for run in made]
    assert sweep(EXAMPLE) == made
    assert stamps == [(Path(run["folder"]) / "model" / "model.safetensors").stat().st_mtime_ns for run in made]


def test_a_run_of_a_sweep_is_the_run_that_is_typed(sweep, bench, data):
    (first, _) = sweep(TWO, "--list")
    words = ["--data", data, "--runs", data.parent / "runs", "--device", "cpu"]
    assert bench("run", *first["words"], *words).code == 0
    told = sweep(TWO, "--dry-run")
    assert [run["state"] for run in told] == ["done", "not run"]
    assert told[0]["folder"] == first["folder"]


@pytest.mark.fault(67)
def test_a_failure_is_told_and_stops_no_other_run(sweep, data):
    text = HEAD + '[[run]]\ntrain.lr = 1e30\ntrain.steps = 20\n[[run]]\nprotocol = "semi20"\n'
    for attempt in (1, 2):
        failed, done = sweep(text, code=1)
        assert (failed["state"], done["state"]) == ("failed", "done")
        assert "the loss is" in failed["reason"]
        assert len(list(Path(failed["folder"]).glob("failed-*.json"))) == attempt
    assert [run["state"] for run in sweep(text, "--status")] == ["failed", "done"]
    shutil.rmtree(failed["folder"])
    assert sweep(text, "--status")[0]["state"] == "not run"


def test_a_method_that_refuses_is_skipped_and_asked_no_more(sweep, tmp_path):
    plugin = tmp_path / "picky.py"
    plugin.write_text(
        "from baselines.methods.supervised import Supervised as Parent\n"
        "class Picky(Parent):\n"
        "    @classmethod\n"
        "    def refuses(cls, ndim, labelled, unlabelled):\n"
        "        return 'it is not in the mood'\n"
    )
    text = HEAD + '[[run]]\nmethod = ["picky", "supervised"]\n'
    picky, other = sweep(text, "--plugin", plugin)
    assert (picky["state"], other["state"]) == ("skipped", "done")
    assert "not in the mood" in picky["reason"]


def test_data_that_are_not_there_hold_up_nothing_else(sweep):
    text = TWO + '[[run]]\ndataset = "acdc"\n'
    *made, lost = sweep(text, code=1)
    assert [run["state"] for run in made] == ["done", "done"]
    assert lost["state"] == "not run" and "there is no acdc" in lost["reason"] and lost["folder"] == ""
    assert sweep(text, "--status")[2] == lost


def test_only_runs_of_the_methods_asked_for(sweep):
    assert [run["method"] for run in sweep(TWO, "--only", "gce")] == ["gce"]
    assert [run["state"] for run in sweep(TWO, "--status")] == ["not run", "done"]
    sweep(TWO, "--only", "mean_teacher", code=2)


def test_one_run_said_twice_is_one(sweep):
    text = HEAD + '[[run]]\nprotocol = ["noisy", "noisy50"]\nseed = [0, 0]\n[[run]]\nprotocol = "noisy50"\n'
    assert len(sweep(text, "--status")) == 1


def test_finished_records_are_kept_as_the_committed_ones_are(sweep, data):
    out = data.parent / "results"
    text = TWO + "[[run]]\ntrain.lr = 1e30\ntrain.steps = 20\n"
    first, second, _ = sweep(text, "--collect", out, code=1)
    names = {f"semi20-{run['method']}-{Path(run['folder']).name}" for run in (first, second)}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*.*")} == {
        f"tiny/{name}.{ending}" for name in names for ending in ("json", "log.jsonl")
    }
    kept = Record.load(out / "tiny" / f"semi20-supervised-{Path(first['folder']).name}.json")
    assert kept == Record.load(Path(first["folder"]) / "record.json")


@pytest.mark.slow
def test_what_will_be_made_is_said_before_and_is_what_the_records_say_after(sweep, bench, data):
    assert sweep(TWO, "--plan", data.parent / "planned") == []
    (file,) = (data.parent / "planned").glob("*.json")
    assert not (data.parent / "runs").exists() and file.name == "sweep.json"
    planned = read_json(file, Sweep)
    assert [(run.dataset, run.protocol, run.method, run.seed) for run in planned.runs] == [
        ("tiny", "semi20", "supervised", 0),
        ("tiny", "semi20", "gce", 0),
    ]
    assert planned.command.startswith("bench sweep ") and planned.command.endswith("sweep.toml")
    made = sweep(TWO)
    digests = [Record.load(Path(run["folder"]) / "record.json").digests["recipe"] for run in made]
    assert digests == [run.recipe for run in planned.runs]


@pytest.mark.parametrize("file", sorted((ROOT / "leaderboards" / "planned").glob("*.json")), ids=lambda file: file.stem)
def test_committed_plans_are_those_of_the_committed_sweeps(file, sweep):
    planned, listed = read_json(file, Sweep), sweep(ROOT / "sweeps" / f"{file.stem}.toml", "--list")
    assert planned.command == f"bench sweep sweeps/{file.stem}.toml"
    found = [(run["protocol"], run["method"], run["seed"]) for run in listed]
    assert [(run.protocol, run.method, run.seed) for run in planned.runs] == found


def test_nothing_is_promised_on_data_that_are_not_there(sweep, data):
    text = TWO + '[[run]]\ndataset = "acdc"\nprotocol = "full"\n'
    assert sweep(text, "--plan", data.parent / "planned", code=3) == []
    assert not (data.parent / "planned").exists()


def test_several_at_once_give_what_one_after_the_other_does(sweep, data):
    here = sweep(TWO)
    records = {run["folder"]: Record.load(Path(run["folder"]) / "record.json").core() for run in here}
    shutil.rmtree(data.parent / "runs")
    text = TWO + "[[run]]\ntrain.lr = 1e30\ntrain.steps = 20\n"
    *there, failed = sweep(text, "--jobs", 2, code=1)
    assert {run["folder"]: Record.load(Path(run["folder"]) / "record.json").core() for run in there} == records
    assert failed["state"] == "failed" and "the loss is" in failed["reason"]


@pytest.mark.fault(69)
@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "sign"), [(1, signal.SIGTERM), (2, signal.SIGINT)])
def test_a_sweep_that_is_stopped_goes_on_where_it_was(jobs, sign, sweep, data):
    text = TWO.replace("steps = 3", "steps = 3000\ncheckpoint_every = 3000")
    assert {run["state"] for run in sweep(text, "--status")} == {"not run"}
    words = ["--data", data, "--runs", data.parent / "runs", "--device", "cpu", "--jobs", jobs]
    line = [sys.executable, "-m", "bench.cli", "sweep", data.parent / "sweep.toml", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([str(word) for word in line], env=environment, start_new_session=True)
    logs = []
    while len(logs) < jobs and process.poll() is None:
        time.sleep(0.05)
        logs = [log for log in data.parent.glob("runs/**/log.jsonl") if log.stat().st_size]
    process.send_signal(sign)
    assert process.wait(60) == 130
    told = sweep(text, "--status")
    assert [run["state"] for run in told].count("stopped") == jobs
    assert not list(data.parent.glob("runs/**/lock.json"))
    for run in told[:jobs]:
        assert 0 < run["steps"] < run["of"] == 3000
        assert (Path(run["folder"]) / "model" / "checkpoint.safetensors").is_file()


@pytest.mark.fault(72)
def test_a_run_that_another_process_is_at_is_left_to_it(sweep):
    first, _ = sweep(TWO, "--status")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        Path(first["folder"]).mkdir(parents=True)
        holder = Holder(pid=other.pid, host=socket.gethostname(), since="just now")
        (Path(first["folder"]) / "lock.json").write_bytes(msgspec.json.encode(holder))
        assert [run["state"] for run in sweep(TWO)] == ["running", "done"]
    finally:
        other.kill()
        other.wait()
    assert [run["state"] for run in sweep(TWO)] == ["done", "done"]


def test_a_person_sees_a_table(bench, data):
    (data.parent / "s.toml").write_text(TWO, encoding="utf-8")
    done = bench("sweep", data.parent / "s.toml", "--data", data, "--runs", data.parent / "runs", "--list")
    assert done.code == 0 and done.out.count("not run") == 2 and "gce" in done.out
    assert "2 not run" in done.err
