"""A run: the whole story on the tiny dataset, twice, interrupted, failed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
import torch

from baselines.config import NetConfig, TrainConfig, plain
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.splits import freeze_default
from converters.dataset import Dataset
from converters.errors import BenchError, EnvironmentFault
from converters.lock import Holder
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import Record

TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.1, 0.1)),
    steps=6,
    batch=4,
    patch=(16, 16),
    deterministic=True,
    threads=1,
    checkpoint_every=2,
)
METHODS = ["supervised", "mean_teacher", "gce"]


@pytest.fixture
def tiny(dataset_of):
    """Ten subjects with a default split and expert scribbles."""
    dataset = dataset_of(10, scribbles=True)
    freeze_default(dataset)
    return dataset


def recipe(protocol="semi10", **changes):
    method = changes.pop("method", "supervised")
    train = msgspec.structs.replace(TRAIN, method=method, **changes)
    return Recipe(dataset="tiny", protocol=protocol, train=train)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("protocol", ["full", "semi10", "scribble", "noisy"])
def test_every_method_runs_under_every_protocol_and_tells_it_all(tiny, tmp_path, protocol, method):
    made = plan(recipe(protocol, method=method), tiny, tmp_path / "runs")
    record = run(made, Place())
    assert record.status == "done"
    assert {score.case for score in record.cases} == {case.id for case in made.test}
    assert {score.label for score in record.cases} == {"right", "wall", "left"}
    assert record.train.items == 6 * 4
    assert record.predict.items == len(made.test)
    assert record.digests.keys() >= {"dataset", "split", "view", "recipe", "code", "predictions"}
    assert record.budget.annotated_voxels > 0
    assert record == Record.load(made.folder / "record.json")
    assert made.folder.relative_to(tmp_path / "runs").parts[:3] == ("tiny", made.protocol.name, method)


@pytest.mark.fault(74)
def test_the_same_recipe_gives_the_same_core_in_another_folder(tiny, tmp_path):
    cores = [
        run(plan(recipe(method="mean_teacher"), tiny, tmp_path / name), Place()).core() for name in ("a", "deep/er")
    ]
    assert cores[0] == cores[1]


def test_a_run_is_found_again_by_a_later_version(tiny, tmp_path, monkeypatch):
    folder = plan(recipe(), tiny, tmp_path).folder
    monkeypatch.setattr("bench.plan.FORMAT", 99)
    assert plan(recipe(), tiny, tmp_path).folder == folder
    # As an earlier version wrote it, which knew no setting that came later.
    earlier = msgspec.json.decode(msgspec.json.encode(plain(recipe())), type=Recipe)
    assert plan(earlier, tiny, tmp_path).folder == folder != plan(recipe(accumulate=2), tiny, tmp_path).folder


def test_a_finished_run_is_not_repeated(tiny, tmp_path):
    made = plan(recipe(), tiny, tmp_path)
    first = run(made, Place())
    stamp = (made.folder / "model" / "model.safetensors").stat().st_mtime_ns
    assert run(made, Place()) == first
    assert (made.folder / "model" / "model.safetensors").stat().st_mtime_ns == stamp


def test_what_decides_a_number_decides_the_folder(tiny, tmp_path):
    changed = [recipe(), recipe("full"), recipe(lr=0.5), msgspec.structs.replace(recipe(), seed=1)]
    folders = {plan(one, tiny, tmp_path).folder for one in changed}
    assert len(folders) == len(changed)
    card = msgspec.structs.replace(tiny.file.bench, content_sha256="f" * 64)
    with pytest.raises(BenchError, match="was made for content"):
        plan(recipe(), dataclasses.replace(tiny, file=msgspec.structs.replace(tiny.file, bench=card)), tmp_path)


@pytest.mark.fault(59)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("protocol", ["semi10", "noisy"])
def test_poisoned_hidden_labels_change_no_prediction(tiny, tmp_path, protocol, method):
    asked = recipe(protocol, method=method)
    clean = run(plan(asked, tiny, tmp_path / "clean"), Place())
    seen = Dataset.load(plan(asked, tiny, tmp_path / "clean").folder / "view")
    visible = {case.id for case in seen.cases if case.label is not None}
    poisoned = 0
    for case in tiny.cases:
        if case.id not in visible:
            path = tiny.path(case.label.file)
            label = read_label(path)
            write_nifti(path, Volume((3 - label.array).astype("uint8"), label.affine))
            poisoned += 1
    assert poisoned
    dirty = run(plan(asked, tiny, tmp_path / "dirty"), Place())
    assert dirty.digests["predictions"] == clean.digests["predictions"]
    assert dirty.cases != clean.cases  # the poison was there: the test labels are poisoned too


@pytest.mark.fault(69)
def test_a_run_that_is_killed_and_started_again_predicts_what_the_undisturbed_one_did(tiny, tmp_path):
    asked = recipe(steps=60, checkpoint_every=4)
    whole = run(plan(asked, tiny, tmp_path / "whole"), Place())
    (tmp_path / "recipe.json").write_bytes(msgspec.json.encode(asked))
    code = (
        "import sys, msgspec; from pathlib import Path; from bench.recipe import Recipe;"
        "from bench.plan import *; from bench.run import *;"
        "asked = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Recipe);"
        "run(plan(asked, Dataset.load(Path(sys.argv[2])), Path(sys.argv[3])), Place())"
    )
    made = plan(asked, tiny, tmp_path / "cut")
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path / "recipe.json", tiny.root, tmp_path / "cut"])
    while not (made.folder / "model" / "checkpoint.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert (made.folder / "lock.json").exists()  # a dead process left it: it is taken over
    again = run(made, Place())
    assert again.core() == whole.core()
    assert again.train.segments == 2


@pytest.mark.parametrize(
    ("net", "patch"),
    [
        (NetConfig(arch="Unet", encoder="resnet18"), (32, 32)),
        (NetConfig(arch="FPN", encoder="tu-resnet10t"), (32, 32)),
        (NetConfig(widths=(4, 8), dropout=(0.0, 0.0)), (8, 16, 16)),
    ],
    ids=["smp", "timm", "3d"],
)
def test_other_networks_and_volumes_run_too(tiny, tmp_path, net, patch):
    record = run(plan(recipe(net=net, patch=patch, steps=2, batch=2), tiny, tmp_path), Place())
    assert record.status == "done"
    assert record.parameters > 0
    assert len(record.cases) == 3 * record.predict.items


@pytest.mark.fault(67)
def test_a_failure_leaves_a_record_that_says_so_and_is_tried_again(tiny, tmp_path):
    made = plan(recipe(lr=1e30, steps=20), tiny, tmp_path)
    for number in (1, 2):
        with pytest.raises(BenchError, match="the loss is"):
            run(made, Place())
        failed = Record.load(made.folder / f"failed-{number}.json")
        assert failed.status == "failed"
        assert "the loss is" in failed.reason
    assert not (made.folder / "record.json").exists()


def test_a_method_that_refuses_is_recorded_as_skipped(tiny, tmp_path):
    plugin = tmp_path / "picky.py"
    plugin.write_text(
        "from baselines.methods.supervised import Supervised as Parent\n"
        "class Picky(Parent):\n"
        "    @classmethod\n"
        "    def refuses(cls, ndim, labelled, unlabelled):\n"
        "        return 'it is not in the mood'\n"
    )
    record = run(plan(recipe(method="picky"), tiny, tmp_path / "runs"), Place(plugin=plugin))
    assert record.status == "skipped"
    assert "not in the mood" in record.reason
    assert record.cases == ()


@pytest.mark.fault(72)
def test_a_run_that_another_process_is_at_is_refused(tiny, tmp_path):
    import socket

    made = plan(recipe(), tiny, tmp_path)
    made.folder.mkdir(parents=True)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        holder = Holder(pid=other.pid, host=socket.gethostname(), since="just now")
        (made.folder / "lock.json").write_bytes(msgspec.json.encode(holder))
        with pytest.raises(EnvironmentFault, match=f"process {other.pid} "):
            run(made, Place())
    finally:
        other.kill()
        other.wait()
    assert run(made, Place()).status == "done"
    assert not (made.folder / "lock.json").exists()


@pytest.mark.fault(70)
def test_what_a_killed_process_had_not_finished_is_swept_away(tiny, tmp_path):
    made = plan(recipe(), tiny, tmp_path)
    (made.folder / ".view.123.tmp" / "labelsTr").mkdir(parents=True)
    (made.folder / "model").mkdir()
    (made.folder / "model" / ".checkpoint.safetensors.123.tmp").write_bytes(b"half")
    run(made, Place())
    assert list(made.folder.rglob(".*")) == []


@pytest.mark.fault(69, 72)
def test_an_interrupted_run_leaves_no_lock(tiny, tmp_path):
    made = plan(recipe(), tiny, tmp_path)

    def interrupt(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("train", 3):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run(made, Place(progress=interrupt))
    assert not (made.folder / "lock.json").exists()
    assert not list(made.folder.glob("failed-*.json"))


def test_threads_and_determinism_are_put_back(tiny, tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    run(plan(recipe(), tiny, Path(tmp_path)), Place())
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before
