"""`bench run` as several ranks: one run like any other, also where a rank is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.executors.ends import End
from bench.ranks import _verdict
from bench.splits import freeze_default
from leaderboards.record import Record

SETTINGS = (
    "net.widths=[4,8]",
    "net.dropout=[0.1,0.1]",
    "patch=[16,16]",
    "batch=4",
    "steps=30",
    "checkpoint_every=5",
    "precision=fp32",
)


@pytest.fixture
def words(dataset_of):
    """Of a small run on the tiny dataset, by any method that shares a batch."""
    dataset = dataset_of(10)
    freeze_default(dataset)
    fixed = ["--data", dataset.root.parent, "--dataset", dataset.root.name, "--protocol", "semi10", "--device", "cpu"]
    sets = [word for setting in SETTINGS for word in ("--set", f"train.{setting}")]
    return [str(word) for word in ("run", *fixed, "--deterministic", *sets)]


def record(runs):
    return Record.load(next(runs.rglob("record.json")))


def rank_of(process):
    """Which rank a child of the command is, once it is one."""
    found = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    return next((int(one.removeprefix(b"RANK=")) for one in found if one.startswith(b"RANK=")), None)


def kill(parent, rank):
    listed = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    os.kill(next(int(child) for child in listed if rank_of(child) == rank), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the ranks under /proc")
def test_a_rank_is_killed_and_the_same_command_ends_with_the_numbers_of_an_undisturbed_run(words, tmp_path):
    command = [sys.executable, "-m", "bench.cli", *words, "--method", "mean_teacher", "--runs"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = subprocess.run(
        [*command, tmp_path / "whole", "--json"],
        env={**environment, "BENCH_RUN_RANKS": "2"},  # as a sweep hands it on
        capture_output=True,
        text=True,
        check=False,
    )
    assert whole.returncode == 0, whole.stderr
    undisturbed = record(tmp_path / "whole")
    assert json.loads(whole.stdout)["machine"]["ranks"] == undisturbed.machine["ranks"] == "2"
    assert undisturbed.train.items == 30 * 4

    cut = subprocess.Popen([*command, tmp_path / "cut", "--ranks", "2"], env=environment, stderr=subprocess.PIPE)
    while cut.poll() is None and not list((tmp_path / "cut").rglob("checkpoint.safetensors")):
        time.sleep(0.01)
    kill(cut.pid, 1)
    told = cut.communicate()[1].decode()
    assert cut.returncode == 4, told
    assert "rank 1 of the run has failed: killed by SIGKILL" in told
    assert not list((tmp_path / "cut").rglob("record.json"))

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    again = [*torchrun, *command[2:], tmp_path / "cut"]
    done = subprocess.run(again, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert record(tmp_path / "cut").train.segments == 2
    assert record(tmp_path / "cut").core() == undisturbed.core()


def test_a_method_that_cannot_share_a_batch_is_refused_before_anything_begins(words, bench, tmp_path):
    outcome = bench(*words, "--method", "trinet", "--runs", tmp_path / "runs", "--ranks", "2")
    assert outcome.code == 3
    assert "trinet takes one process to a batch: it ranks all voxels of a batch by their losses" in outcome.err
    assert "run it without --ranks" in outcome.err
    assert not (tmp_path / "runs").exists()


GONE = "EnvironmentFault: another rank has gone"


@pytest.mark.parametrize(
    ("ends", "rank", "code"),
    [
        ({0: End(4), 1: End(-9, "half a line")}, 1, 4),
        ({0: End(4), 1: End(3, "BenchError: too large"), 2: End(4, GONE)}, 1, 3),
        ({0: End(3), 1: End(4, GONE)}, 0, 3),
        ({0: End(4), 1: End(4, GONE)}, 0, 4),
        ({0: End(4), 1: End(4, "EnvironmentFault: there is no device")}, 1, 4),
        ({1: End(1)}, 1, 1),
    ],
)
def test_the_rank_that_failed_by_itself_is_named_not_one_that_missed_it(ends, rank, code, capsys):
    assert _verdict(ends) == code
    assert f"rank {rank} of the run has failed: {ends[rank].told}" in capsys.readouterr().err


def test_where_every_rank_has_ended_well_nothing_is_said(capsys):
    assert _verdict({0: End(0), 1: End(0, "a warning")}) == 0
    assert capsys.readouterr().err == ""
