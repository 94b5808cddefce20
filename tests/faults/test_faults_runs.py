"""Runs that cannot end well: no GPU, no memory, no disk, a loss that is no number, a disk that hangs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from outcomes import core
from safetensors.torch import load_file
from tiny import tiny_dataset

from baselines import ahead, sampler
from baselines.loop import Loop
from bench.splits import freeze_default
from leaderboards.record import Record

QUICK = {"steps": 6, "batch": 2, "patch": [16, 16], "threads": 1, "checkpoint_every": 2}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a tiny dataset."""
    freeze_default(tiny_dataset(tmp_path / "data" / "tiny", 4, shape=(16, 16, 3)))
    return tmp_path / "data"


def words(data: Path, runs: Path, *more: object, **changes: object) -> list[object]:
    settings = [f"train.{name}={json.dumps(value)}" for name, value in {**QUICK, **changes}.items()]
    typed = [word for each in (*settings, "train.net={widths=[4,8],dropout=[0,0]}") for word in ("--set", each)]
    place = ["--data", data, "--runs", runs, "--dataset", "tiny", "--preset", "demo", "--deterministic"]
    return ["run", *place, *(() if "--device" in more else ("--device", "cpu")), *typed, *more]


def failed(runs: Path) -> Record:
    assert not list(runs.rglob("record.json")) and not list(runs.rglob("lock.json")) and not list(runs.rglob("*.tmp"))
    (found,) = runs.rglob("failed-1.json")
    return Record.load(found)


@pytest.mark.fault(63)
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_the_fault_of_the_machine(bench, data: Path, tmp_path: Path) -> None:
    done = bench(*words(data, tmp_path / "runs", "--device", "cuda"))
    assert done.code == 4 and "--device cpu" in done.err
    assert not list((tmp_path / "runs").rglob("*.json"))


@pytest.mark.fault(65)
def test_a_gpu_without_memory_fails_one_run_of_a_sweep_and_says_what_takes_less(
    bench, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Loop._gradients

    def hungry(loop: Loop, *given: object) -> object:
        if type(loop.method).__name__ == "Supervised":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return real(loop, *given)

    monkeypatch.setattr(Loop, "_gradients", hungry)
    net = "net = { widths = [4, 8], dropout = [0.0, 0.0] }\n"
    table = "".join(f"{name} = {json.dumps(value)}\n" for name, value in QUICK.items())
    runs = '[[run]]\ndataset = "tiny"\npreset = "demo"\nmethod = ["supervised", "gce"]\n[run.train]\n'
    (tmp_path / "s.toml").write_text(runs + table + net)
    place = ["--data", data, "--runs", tmp_path / "runs", "--device", "cpu", "--json"]
    done = bench("sweep", tmp_path / "s.toml", *place)
    assert done.code == 1
    first, second = (json.loads(line) for line in done.out.splitlines())
    assert (first["state"], second["state"]) == ("failed", "done")
    assert first["reason"].startswith("oom: a batch of 2 samples of [16, 16]")
    assert "lower train.batch, say 1," in first["reason"] and "GiB were in use at most" in first["reason"]


STARVED = """
import resource, sys, torch
from pathlib import Path
import baselines.predict, baselines.train, bench.run
from bench.cli import main
torch.set_num_threads(1)
torch.ones(8, 8) @ torch.ones(8, 8)
pages = int(Path("/proc/self/statm").read_text().split()[0])
most = pages * resource.getpagesize() + 600 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
main(sys.argv[1:])
"""


@pytest.mark.fault(66)
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_host_without_memory_marks_the_run_as_failed(data: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-c", STARVED, *words(data, tmp_path / "runs", batch=512, patch=[1024, 1024])]
    done = subprocess.run(
        list(map(str, line)), env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    told = failed(tmp_path / "runs")
    assert told.status == "failed" and told.reason.startswith("oom: ")


@pytest.mark.fault(67)
def test_a_loss_that_is_no_number_leaves_the_last_good_checkpoint_and_no_row(bench, data: Path, tmp_path: Path) -> None:
    done = bench(*words(data, tmp_path / "runs", lr=1e9, steps=30, checkpoint_every=1))
    assert done.code == 1 and "the last good checkpoint is kept" in done.err
    assert " step " in failed(tmp_path / "runs").reason
    (kept,) = (tmp_path / "runs").rglob("checkpoint.safetensors")
    assert all(bool(value.isfinite().all()) for name, value in load_file(kept).items() if name.startswith("method/"))
    done = bench(*words(data, tmp_path / "other", lr=1e30, steps=20))
    reason = failed(tmp_path / "other").reason
    assert done.code == 1 and reason.startswith("the loss is ") and " at step " in reason and "; cases s0" in reason
    assert bench("table", tmp_path / "runs", "--json").out == ""


@pytest.mark.fault(68)
def test_an_error_of_the_sampling_thread_names_the_case(
    bench, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sampler.taken

    def torn(case: sampler.Prepared, *given: object) -> object:
        if case.id == "s02-es":
            raise OSError(5, "the disk is on fire")
        return real(case, *given)

    monkeypatch.setattr(sampler, "taken", torn)
    done = bench(*words(data, tmp_path / "runs"))
    assert done.code == 1 and "the disk is on fire" in done.err and "case s02-es" in done.err
    reason = failed(tmp_path / "runs").reason
    assert reason.startswith("OSError: [Errno 5] the disk is on fire; at step ") and reason.endswith("case s02-es")


@pytest.mark.fault(68)
def test_a_sampling_thread_that_hangs_is_given_up_and_names_the_case(
    bench, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = threading.Event()
    monkeypatch.setattr(ahead, "PATIENCE", 0.2)
    monkeypatch.setattr(ahead, "_LEAVE", 0.2)
    monkeypatch.setattr(sampler, "taken", lambda *_: never.wait())
    done = bench(*words(data, tmp_path / "runs"))
    never.set()
    assert done.code == 4 and "nothing was read for" in done.err and "case s0" in done.err and "BENCH_CACHE" in done.err
    assert "; step 0, case s0" in failed(tmp_path / "runs").reason


@pytest.mark.fault(71)
def test_a_run_on_a_disk_that_is_full_again_and_again_ends_as_on_a_large_one(
    bench, data: Path, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    assert bench(*words(data, tmp_path / "runs")).code == 0
    codes = []
    for kilobytes in (32, 96, 160, 224, 320, 448, 4000):
        runs = small_disk(kilobytes) / "runs"
        done = bench(*words(data, runs))
        codes.append(done.code)
        assert done.code == 0 or ("disk" in done.err.lower() or "No space left" in done.err), done.err
        assert not list(runs.rglob("*.tmp")) and not list(runs.rglob("lock.json"))
    assert codes[0] == 4 and codes[-1] == 0 and set(codes) == {0, 4}
    (good,), (found,) = (folder.rglob("record.json") for folder in (tmp_path / "runs", runs))
    assert core(Record.load(found)) == core(Record.load(good))
