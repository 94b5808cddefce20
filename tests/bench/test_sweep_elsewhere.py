"""Sweeps by several machines: what is handed to another scheduler, what is watched, what is copied together."""

import importlib.util
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from pretend import wait_until
from swept import TWO

from bench.commands.run import command as run_command
from bench.run import Place, run
from converters.errors import EnvironmentFault
from converters.lock import Holder

CONTROL = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ROOT = Path(__file__).resolve().parents[2]


def emitted(bench, data, form, *more):
    (data.parent / "sweep.toml").write_text(TWO, encoding="utf-8")
    words = ["--data", data, "--runs", data.parent / "my runs", "--device", "cpu", "--emit", form]
    done = bench("sweep", data.parent / "sweep.toml", *words, *more)
    assert done.code == 0, done.err
    return done.out


def test_an_index_of_the_emitted_array_makes_its_run_and_no_other(bench, data, tmp_path):
    told = emitted(bench, data, "slurm-array", "--slurm", "partition=long", "--slurm", "mem_gb=8", "--jobs", 3)
    head = told.partition("\n\n")[0].splitlines()
    assert head[0] == "#!/bin/bash"
    assert {"--array=0-1%3", "--partition=long", "--mem=8G", "--time=720", "--job-name=bench"} <= {
        line.removeprefix("#SBATCH ") for line in head
    }
    assert (data.parent / "my runs" / "slurm").is_dir()
    (script := tmp_path / "sweep.sbatch").write_text(told)
    for index, code in (("1", 0), ("2", 2)):
        environment = {**os.environ, "SLURM_ARRAY_TASK_ID": index, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(["bash", script], env=environment, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == code, done.stderr
    (record,) = (data.parent / "my runs").rglob("record.json")
    assert record.relative_to(data.parent / "my runs").parts[:3] == ("tiny", "semi20", "gce")
    assert "gce" not in emitted(bench, data, "slurm-array")  # it is done
    assert emitted(bench, data, "slurm-array", "--only", "gce") == ""


def test_a_line_for_each_run_that_is_left_to_do(bench, data):
    lines = [json.loads(line) for line in emitted(bench, data, "jobs.jsonl").splitlines()]
    assert [(line["protocol"], line["method"], line["seed"]) for line in lines] == [
        ("semi20", "supervised", 0),
        ("semi20", "gce", 0),
    ]
    for line in lines:
        start = line["argv"].index("run") + 1
        parsed = run_command.make_context("run", line["argv"][start:]).params
        assert parsed["method"] == line["method"] and parsed["data"] == data and Path(line["cwd"]) == Path.cwd()
    assert not (data.parent / "my runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["--slurm", "mem_gb=4"],
        ["--ray", "num_cpus=1"],
        ["--gpus", "0", "--executor", "ray"],
        ["--gpus", "0", "--emit", "jobs.jsonl"],
        ["--executor", "ray", "--ray", "num_cpus=all"],
    ],
)
def test_an_option_of_another_executor_is_a_mistake(words, sweep):
    assert sweep(TWO, *words, code=2) == []


@pytest.mark.parametrize(("executor", "package"), [("slurm", "submitit"), ("ray", "ray")])
def test_an_executor_that_is_not_installed_says_how_to_get_it(executor, package, bench, sweep, data):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    sweep(TWO, "--executor", executor, code=4)
    done = bench("sweep", data.parent / "sweep.toml", "--data", data, "--executor", executor)
    assert f"pip install 'frugalseg[{executor}]'" in done.err


def test_run_folders_of_two_machines_are_merged_by_copying_them(sweep, bench, data):
    runs, other = data.parent / "runs", data.parent / "of another machine"
    sweep(TWO, "--only", "gce")
    runs.rename(other)
    (there,) = other.rglob("record.json")
    away = Holder(pid=1, host="another-machine", since="2026-01-01 10:00:00", beats=True)
    (there.parent / "lock.json").write_bytes(msgspec.json.encode(away))  # copied while it was at work
    assert [run["state"] for run in sweep(TWO, "--only", "supervised", "--gpus", "0,1")] == ["done"]
    shutil.copytree(other, runs, dirs_exist_ok=True)
    told = sweep(TWO, "--status")
    assert [(run["method"], run["state"]) for run in told] == [("supervised", "done"), ("gce", "done")]
    table = bench("table", runs, "--json")
    assert table.code == 0
    assert {json.loads(line)["method"] for line in table.out.splitlines()} == {"supervised", "gce"}


class Terminal:
    """`bench sweep --watch` in a terminal of its own, and all that was shown on it."""

    def __init__(self, data):
        self._ours, theirs = pty.openpty()
        words = ["--data", data, "--runs", data.parent / "runs", "--device", "cpu", "--watch"]
        line = [sys.executable, "-m", "bench.cli", "sweep", data.parent / "sweep.toml", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "200", "LINES": "50"}
        self.process = subprocess.Popen(
            [str(word) for word in line], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.shown = ""

    def shows(self, text):
        end = time.monotonic() + 60
        while text not in CONTROL.sub("", self.shown):
            readable, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert readable, self.shown
            self.shown += os.read(self._ours, 4096).decode(errors="replace")

    def ends(self):
        try:
            while part := os.read(self._ours, 4096):
                self.shown += part.decode(errors="replace")
        except OSError:  # what Linux says at the end of a terminal
            pass
        os.close(self._ours)
        return self.process.wait(60)


def test_a_table_in_a_terminal_is_kept_up_to_date_until_all_is_finished(sweep, data):
    first, second = sweep(TWO)
    record = Path(second["folder"]) / "record.json"
    aside = record.rename(data.parent / "record.json")
    terminal = Terminal(data)
    terminal.shows("1 done, 1 stopped")
    shutil.copy(aside, record)
    assert terminal.ends() == 0
    assert "2 done" in CONTROL.sub("", terminal.shown).partition("1 done, 1 stopped")[2]
    assert sweep(TWO, "--watch") == [first, second]  # no terminal: told once


def test_to_stop_watching_stops_no_run(sweep, data):
    first, _ = sweep(TWO, "--status")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        lock = Path(first["folder"]) / "lock.json"
        lock.parent.mkdir(parents=True)
        lock.write_bytes(msgspec.json.encode(Holder(pid=other.pid, host=socket.gethostname(), since="just now")))
        terminal = Terminal(data)
        terminal.shows("1 running, 1 not run")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.ends() == 130
        assert other.poll() is None and lock.is_file()
    finally:
        other.kill()
        other.wait()


def test_a_run_whose_folder_was_taken_over_comes_to_no_end(sweep, data):
    (first, _) = sweep(TWO, "--status")
    words = [*first["words"], "--data", str(data), "--runs", str(data.parent / "runs"), "--device", "cpu"]
    from bench.commands.run import Asked

    plan = Asked(**run_command.make_context("run", words).params).plan(0)
    lock = plan.folder / "lock.json"
    thief = Holder(pid=1, host="another-machine", since="just now", beats=True)

    def silent(phase, done, total):
        if phase == "score" and done == total:
            lock.write_bytes(msgspec.json.encode(thief))

    with pytest.raises(EnvironmentFault, match="no longer that of this process"):
        run(plan, Place(progress=silent))
    assert not list(plan.folder.glob("record.json")) and not list(plan.folder.glob("failed-*"))
    assert msgspec.json.decode(lock.read_bytes(), type=Holder) == thief
    wait_until(lambda: sweep(TWO, "--status")[0]["state"] == "running")
