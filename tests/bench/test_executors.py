"""Executors: who runs where, what is said of an end, what is tried again, and that no run outlives its job."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from pretend import pretend, wait_until

from bench.executors.attempt import attempt
from bench.executors.attempts import Attempts
from bench.executors.ends import End
from bench.executors.local import Processes, visible_gpus
from bench.executors.ray import resources
from bench.executors.settings import parse
from bench.executors.slurm import parameters
from converters.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder in which `bench run` is a program of the tests."""
    monkeypatch.chdir(pretend(tmp_path / "here"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Path.cwd()


def all_of(lines, jobs, gpus=()):
    ends = {}
    Processes(jobs, ends.__setitem__, gpus).run({words[0]: words for words in lines})
    return ends


def test_each_gpu_has_one_run_at_a_time_and_none_is_idle(here):
    ends = all_of([(name, "alone", "2") for name in "abcde"], 2, ["0", "GPU-7f"])
    assert {end.told for end in ends.values()} == {""} and len(ends) == 5
    on = Counter((here / f"{name}.on").read_text() for name in "abcde")
    assert set(on) == {"0", "GPU-7f"} and not list(here.glob("gpu-*"))


def test_more_jobs_than_gpus_wait_for_one(here):
    ends = all_of([(name, "alone", "1") for name in "ab"], 4, ["3"])
    assert [end.told for end in ends.values()] == ["", ""]
    assert (here / "a.on").read_text() == (here / "b.on").read_text() == "3"


def test_the_gpus_of_a_job_are_those_that_its_environment_names(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, MIG-1")
    assert visible_gpus() == ["2", "MIG-1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == []


def test_a_run_that_dies_by_a_signal_is_told_with_its_name_and_the_others_live(here):
    lines = [("a", "fine"), ("b", "die", "SIGKILL"), ("c", "die", "SIGSEGV"), ("d", "fail"), ("e", "fine")]
    ends = all_of(lines, 2)
    assert {name: end.told for name, end in ends.items()} == {
        "a": "",
        "b": "killed by SIGKILL: b: first line",
        "c": "killed by SIGSEGV: c: first line",
        "d": "d: first line\nd: the loss is nan",
        "e": "",
    }
    assert [name for name, end in ends.items() if end.cut_off] == ["b", "c"]


class Scripted:
    """Machines on which each run ends as the script says, one end after the other."""

    look_every = 0.0

    def __init__(self, ends):
        self.ends, self.given, self.most, self.at_work = ends, [], 0, set()

    def submit(self, lines):
        names = [words[0] for words in lines]
        self.given += names
        self.at_work |= set(names)
        self.most = max(self.most, len(self.at_work))
        return names

    def end(self, name):
        self.at_work.discard(name)
        return self.ends[name].pop(0)

    def stop(self, handles):
        self.stopped = list(handles)


class Heard:
    def __init__(self):
        self.ends, self.tries = {}, []

    def ended(self, key, end):
        self.ends[key] = end

    def again(self, key, end, number):
        self.tries.append((key, end.code, number))


DONE, KILLED, LOST, STOPPED = End(0), End(-9, "b"), End(None, "its node failed"), End(130, "interrupted")


def attempted(ends, *, free=lambda key: True, limit=None):
    machines, heard = Scripted({name: list(each) for name, each in ends.items()}), Heard()
    Attempts(machines, heard, 2, limit).run({name: (name,) for name in ends}, free)
    return machines, heard


def test_what_was_cut_off_is_tried_again_so_many_times_and_what_failed_is_not():
    script = {"a": [KILLED, LOST, DONE], "b": [End(1, "the loss is nan")], "c": [STOPPED, KILLED, LOST], "d": [End(4)]}
    machines, heard = attempted(script)
    assert Counter(machines.given) == {"a": 3, "b": 1, "c": 3, "d": 1}
    assert heard.tries == [("a", -9, 1), ("c", 130, 1), ("a", None, 2), ("c", -9, 2)]
    assert {name: end.told for name, end in heard.ends.items()} == {
        "a": "",
        "b": "the loss is nan",
        "c": "its node failed",
        "d": "exit code 4",
    }


def test_no_more_are_handed_out_than_asked_for():
    machines, heard = attempted({name: [None, DONE] for name in "abcdefg"}, limit=3)
    assert machines.most == 3 and machines.given == list("abcdefg") and len(heard.ends) == 7


def test_a_run_waits_while_a_living_process_holds_its_folder():
    looks = Counter()

    def free(name):
        looks[name] += 1
        return name == "b" or looks["a"] > 4

    machines, heard = attempted({"a": [DONE], "b": [None, KILLED, None, DONE]}, free=free)
    assert machines.given.index("a") > machines.given.index("b") and looks["a"] > 4
    assert heard.ends == {"a": DONE, "b": DONE}


def test_an_attempt_gives_the_exit_code_and_the_last_words(here, capfd):
    assert attempt(("a", "fail"), str(here)) == (1, "a: first line\na: the loss is nan")
    assert attempt(("b", "die", "SIGKILL"), str(here)) == (-signal.SIGKILL, "b: first line")
    assert attempt(("c", "fine"), str(here / "no such folder")) == (0, "c: first line")
    assert "the loss is nan" in capfd.readouterr().err


def started(here):
    """An attempt in a process of its own, as a cluster makes one, and the pid of its run."""
    code = f"from bench.executors.attempt import attempt; print(attempt(('a', 'wait'), {str(here)!r})[0])"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    wait_until(lambda: (here / "a.ready").exists() and (here / "a.ready").read_text())
    return process


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux ties a process to its parent")
def test_a_run_does_not_outlive_the_job_that_made_it(here):
    job = started(here)
    job.kill()
    job.wait()
    wait_until(lambda: (here / "a.asked").exists() and (here / "a.asked").read_text())
    assert (here / "a.asked").read_text() == "SIGTERM"


def test_a_warning_that_the_time_of_a_job_is_over_asks_its_run_for_a_checkpoint(here):
    job = started(here)
    os.kill(int((here / "a.ready").read_text()), signal.SIGUSR2)  # Slurm sends it to every process
    job.send_signal(signal.SIGUSR2)
    out, _ = job.communicate(timeout=60)
    assert out == "130\n" and (here / "a.asked").read_text() == "SIGTERM"


def test_what_is_asked_of_slurm_is_said_in_its_words_or_those_of_submitit():
    asked = parse("--slurm", ["partition=gpu", "mem_gb=16.5", "slurm_qos=low", "time=2:00:00", "gpus-per-node=2"])
    assert parameters(asked, gpu=True, limit=8) == {
        "name": "bench",
        "slurm_array_parallelism": 8,
        "slurm_partition": "gpu",
        "mem_gb": 16.5,
        "slurm_qos": "low",
        "slurm_time": "2:00:00",
        "gpus_per_node": 2,
    }
    assert parameters({"cluster": "local"}, gpu=True, limit=None) == {
        "name": "bench",
        "timeout_min": 720,
        "gpus_per_node": 1,
    }
    for wrong in ("partition", "=gpu", "partition="):
        with pytest.raises(UsageError, match="is not KEY=VALUE"):
            parse("--slurm", [wrong])


def test_what_a_run_needs_of_ray():
    assert resources({}, gpu=False) == {"num_cpus": 1, "num_gpus": 0, "resources": {}}
    asked = parse("--ray", ["num_gpus=0.5", "num_cpus=4", "memory=8e9", "a100=1"])
    assert resources(asked, gpu=True) == {"num_cpus": 4, "num_gpus": 0.5, "resources": {"a100": 1}, "memory": 8e9}
    with pytest.raises(UsageError, match="--ray num_gpus=one is not a number"):
        resources(parse("--ray", ["num_gpus=one"]), gpu=True)
