"""The gate from end to end: a drop planted in the predictions of a fixed checkpoint, and the files that CI runs."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import ndimage
from tiny import tiny_dataset

from baselines.config import NetConfig, TrainConfig
from bench.matching import with_dataset
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.score import Structures, prediction_digests, score_matches
from bench.splits import freeze_default
from converters.files import digest
from converters.volume import Volume, read_label, write_nifti

ROOT = Path(__file__).resolve().parents[2]
TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=60,
    batch=8,
    patch=(32, 32),
    optimizer="adamw",
    lr=0.01,
    threads=1,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint that learnt a little: sixty steps on thirty tiny subjects, six of which test."""
    folder = tmp_path_factory.mktemp("gate")
    dataset = tiny_dataset(folder / "data" / "tiny", 30, shape=(48, 42, 6))
    freeze_default(dataset)
    made = plan(Recipe(dataset="tiny", protocol="full", train=TRAIN), dataset, folder / "runs")
    record = run(made, Place())
    assert 0.3 < dice(record) < 0.99
    return made, record


def dice(record):
    return np.mean([score.metrics["dice:v1"] for score in record.cases])


def rescored(trained, folder, spoil):
    """The record of the same checkpoint whose predictions `spoil(prediction, reference, number)` changed."""
    made, record = trained
    predictions = folder / "predictions"
    shutil.copytree(made.folder / "predictions", predictions)
    matches, _ = with_dataset(predictions, made.dataset, made.test)
    for number, match in enumerate(matches):
        volume, reference = read_label(match.prediction), read_label(match.reference)
        write_nifti(match.prediction, Volume(spoil(volume.array.copy(), reference.array, number), volume.affine))
    problems = []
    scores = score_matches(matches, Structures.of(made.dataset), None, problems)
    assert problems == []
    each = {f"prediction:{case}": found for case, found in prediction_digests(matches).items()}
    again = msgspec.structs.replace(record, cases=scores, digests=record.digests | each | {"predictions": digest(each)})
    again.save(folder / "new" / "record.json")
    return again


def worn(drop):
    """Takes right voxels off the border of every structure: its Dice falls by half the drop, or by one and a half."""

    def spoil(array, reference, number):
        for label in (1, 2, 3):
            inside, there = array == label, reference == label
            right, both = (inside & there).sum(), inside.sum() + there.sum()
            lost = drop * (1.5 if number % 2 else 0.5)
            wanted = round(lost * both / (2 - 2 * right / both + lost))
            depth = ndimage.distance_transform_edt(inside)
            order = sorted(np.argwhere(inside & there).tolist(), key=lambda at: (depth[tuple(at)], at))
            for at in order[:wanted]:
                array[tuple(at)] = 0
        return array

    return spoil


@pytest.fixture
def saved(trained, tmp_path):
    """The folder of the record as the run left it."""
    trained[1].save(tmp_path / "base" / "record.json")
    return tmp_path / "base"


def test_a_drop_of_0_05_planted_in_the_predictions_of_a_checkpoint_fails(trained, saved, tmp_path, bench):
    new = rescored(trained, tmp_path, worn(0.05))
    assert dice(trained[1]) - dice(new) == pytest.approx(0.05, abs=0.005)
    found = bench("compare", saved, tmp_path / "new", "--fail-on", "regression")
    assert found.code == 1, found.err
    assert "paired" in found.out
    assert "regressed" in found.out
    assert "failed" in found.err
    # Without the flag the same table is printed, and nothing fails.
    assert bench("compare", saved, tmp_path / "new").code == 0


def test_the_same_predictions_pass_as_identical(trained, saved, tmp_path, bench):
    rescored(trained, tmp_path, lambda array, reference, number: array)
    found = bench("compare", saved, tmp_path / "new", "--fail-on", "regression")
    assert found.code == 0, found.err
    assert "identical" in found.out
    assert "retrained" not in found.out


def test_a_drop_of_0_001_passes(trained, saved, tmp_path, bench):
    new = rescored(trained, tmp_path, worn(0.001))
    assert new.digests["predictions"] != trained[1].digests["predictions"]
    assert 0 < dice(trained[1]) - dice(new) < 0.002
    found = bench("compare", saved, tmp_path / "new", "--fail-on", "regression", "--json")
    assert found.code == 0, found.err
    changes = [json.loads(line) for line in found.out.splitlines()]
    assert {one["gate"] for one in changes if one["metric"] == "dice:v1"} == {"paired"}


def test_nothing_to_compare_never_passes(trained, saved, tmp_path, bench):
    assert bench("compare", saved, "--fail-on", "regression").code == 2
    assert bench("compare", saved, saved, "--only", "protocol=semi10", "--fail-on", "regression").code == 3
    assert bench("compare", saved, saved, "--only", "protocol", "--fail-on", "regression").code == 2
    mistyped = bench("compare", saved, saved, "--only", "protocol=full,semi1O", "--fail-on", "regression")
    assert mistyped.code == 2 and "--only protocol=semi1O: no record of BASE has it" in mistyped.err
    empty = tmp_path / "empty"
    empty.mkdir()
    found = bench("compare", saved, empty, "--fail-on", "regression")
    assert found.code == 1
    assert "missing" in found.out
    assert bench("compare", empty, saved, "--fail-on", "regression").code == 3


def test_training_again_on_one_reference_seed_is_refused_not_passed(trained, saved, tmp_path, bench):
    again = rescored(trained, tmp_path, worn(0.001))
    msgspec.structs.replace(again, digests=again.digests | {"model": "ab" * 32}).save(tmp_path / "new" / "record.json")
    found = bench("compare", saved, tmp_path / "new", "--fail-on", "regression")
    assert found.code == 3
    assert "5 reference seeds are needed, 1 are there" in found.out


def test_slower_training_fails_only_where_asked(trained, saved, tmp_path, bench):
    train = msgspec.structs.replace(trained[1].train, items_per_s=trained[1].train.items_per_s / 2)
    msgspec.structs.replace(trained[1], train=train).save(tmp_path / "new" / "record.json")
    assert bench("compare", saved, tmp_path / "new", "--fail-on", "regression").code == 0
    assert bench("compare", saved, tmp_path / "new", "--fail-on", "speed").code == 1


def test_the_markdown_goes_to_a_file_and_says_the_same(trained, saved, tmp_path, bench):
    rescored(trained, tmp_path, worn(0.05))
    page = tmp_path / "summary.md"
    printed = bench("compare", saved, tmp_path / "new", "--format", "markdown", "--out", page).out
    assert page.read_text() == printed
    assert "| tiny full supervised | dice | mean |" in printed


def test_tolerances_are_printed_without_a_second_side(saved, bench):
    found = bench("compare", saved, "--tolerances", "--json")
    assert found.code == 0
    assert [json.loads(line)["seeds"] for line in found.out.splitlines()] == [1, 1]


def test_the_action_hands_its_inputs_to_the_command_as_words():
    yaml = pytest.importorskip("yaml")
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    assert action["runs"]["using"] == "composite"
    assert {"base", "new", "fail-on", "python-version"} <= set(action["inputs"])
    steps = action["runs"]["steps"]
    for step in steps:
        # An expression inside a script would be code in the hands of whoever names a branch.
        assert "${{" not in step.get("run", "")
        assert ("uses" in step) != ("run" in step and step["shell"] == "bash")
        assert re.fullmatch(r"[\w./-]+@v\d+", step.get("uses", "a/b@v1"))
    script = steps[-1]["run"]
    assert "bench compare" in script
    assert "GITHUB_STEP_SUMMARY" in script
    assert set(re.findall(r"inputs\.([\w-]+)", json.dumps(action["runs"]))) == set(action["inputs"])


def test_the_actions_script_writes_the_summary_and_keeps_the_exit_code(trained, saved, tmp_path):
    yaml = pytest.importorskip("yaml")
    rescored(trained, tmp_path, worn(0.05))
    step = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"][-1]
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    given = {"BASE": saved, "NEW": tmp_path / "new", "FAIL_ON": "regression", "OPTIONS": "--only protocol=full"}
    environment = os.environ | {key: str(value) for key, value in given.items()}
    environment |= {"GITHUB_STEP_SUMMARY": str(summary), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    assert set(step["env"]) == set(given)
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert summary.read_text().startswith("before\n**failed")


def test_workflows_call_scripts_that_are_there_and_read_the_repository_only():
    yaml = pytest.importorskip("yaml")
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"]["contents"] == "read", path.name
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        for script in (word for step in steps for word in step.get("run", "").split() if "/" in word):
            if script.startswith(("sweeps/", ".ci/")):
                assert os.access(ROOT / script, os.X_OK), script
        assert all("timeout-minutes" in job for job in workflow["jobs"].values()), path.name


def test_the_example_workflow_compares_what_the_script_compares():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "gate.yml").read_text())
    given = workflow["jobs"]["phantom"]["steps"][-1]["with"]
    script = (ROOT / "sweeps" / "gate.sh").read_text()
    assert f" {given['options']} " in script
    assert f'/{given["base"]}" {given["new"]} ' in script
