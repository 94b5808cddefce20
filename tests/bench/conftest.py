"""Fixtures of the tests of `bench`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from tiny import tiny_dataset
from verified import QUICK

from bench import splits
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.splits import freeze_default
from converters.dataset import Dataset, Split
from leaderboards.record import Record


@pytest.fixture
def dataset_of(tmp_path) -> Callable[..., Dataset]:
    """Makes a tiny dataset of so many subjects in the test's folder."""
    return lambda subjects=10, **how: tiny_dataset(tmp_path / "data" / "tiny", subjects, **how)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> tuple[Dataset, Split]:
    """A tiny dataset of twelve subjects with expert scribbles and its default split: for reading only."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("made") / "data" / "tiny", 12, scribbles=True)
    return dataset, splits.freeze_default(dataset)


@pytest.fixture
def hearts(dataset_of) -> Dataset:
    """Ten subjects with the default split: two of them, so four cases, are for testing."""
    dataset = dataset_of(10)
    splits.freeze_default(dataset)
    return dataset


@pytest.fixture
def predictions(hearts, tmp_path) -> Path:
    """Perfect predictions of the four test cases."""
    folder = tmp_path / "predictions"
    folder.mkdir()
    for case in hearts.only(hearts.split("default").test).cases:
        shutil.copy(hearts.root / case.label.file, folder / f"{case.id}.nii.gz")
    return folder


@pytest.fixture
def data(tmp_path):
    """A data folder with a tiny dataset, and the same as the made-up hearts of the example."""
    for name in ("tiny", "phantom-acdc"):
        splits.freeze_default(tiny_dataset(tmp_path / "data" / name, 8))
    return tmp_path / "data"


@pytest.fixture
def sweep(bench, data):
    """Runs `bench sweep` on a text or a file; gives what `--json` says, and the exit code."""

    def run(what, *more, code=0):
        file = what if isinstance(what, Path) else data.parent / "sweep.toml"
        if file is not what:
            file.write_text(what, encoding="utf-8")
        words = ["--data", data, "--runs", data.parent / "runs", "--device", "cpu", "--json"]
        done = bench("sweep", file, *words, *more)
        assert done.code == code, done.err
        return [json.loads(line) for line in done.out.splitlines()]

    return run


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A data folder and a finished run, whose code counts as committed."""
    folder = tmp_path_factory.mktemp("verify")
    dataset = Dataset.load(tiny_dataset(folder / "data" / "tiny", 10, shape=(24, 24, 3)).root)
    freeze_default(dataset)
    planned = plan(Recipe(dataset="tiny", protocol="semi20", train=QUICK), dataset, folder / "runs")
    record = run(planned, Place())
    code = {**record.code, "commit": "a" * 40, "dirty": "false"}
    msgspec.structs.replace(record, code=code).save(planned.folder / "record.json")
    shutil.rmtree(planned.folder / "view")
    return folder / "data", planned.folder


@pytest.fixture
def ran(done, tmp_path):
    """A copy of the run folder, free to be spoilt."""
    return shutil.copytree(done[1], tmp_path / "runs" / done[1].name)


@pytest.fixture
def data_of_run(done, tmp_path):
    """A copy of the data folder of that run."""
    return shutil.copytree(done[0], tmp_path / "data")


@pytest.fixture
def cases(hearts):
    """The four cases of the test side, in order."""
    return hearts.only(hearts.split("default").test).cases


@pytest.fixture
def scored(bench, hearts, predictions, tmp_path):
    """Scores the folder of predictions as typed: exit code, stderr, scores by case and label, the record."""

    def run(*more):
        words = ("--method", "theirs", "--out", tmp_path / "out", "--json", *more)
        done = bench("score", predictions, hearts.root, "--split", "default", *words)
        found = [json.loads(line) for line in done.out.splitlines()]
        scores = {(score["case"], score["label"]): score for score in found}
        return done.code, done.err, scores, Record.load(tmp_path / "out" / "record.json")

    return run
