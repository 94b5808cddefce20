"""Selection: by validation labels that count, never by test labels, and not at all unless the recipe says so."""

import json
import statistics

import msgspec
import numpy as np
import pytest
from tiny import tiny_dataset

from baselines import predict
from baselines.config import NetConfig, TrainConfig, plain
from bench.claims import claims
from bench.plan import plan
from bench.recipe import Choice, Recipe, resolve
from bench.run import Place, run
from bench.score import score
from bench.splits import freeze_default
from bench.verify import Means, verify
from converters.errors import BenchError
from converters.files import canonical_json, digest
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import FORMAT, Record

TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=12,
    batch=4,
    patch=(16, 16),
    optimizer="adamw",
    lr=0.02,
    deterministic=True,
    threads=1,
    snapshots=4,
)


def recipe(selection="best_val", **changes):
    return Recipe(
        dataset="tiny", protocol="semi20", selection=selection, train=msgspec.structs.replace(TRAIN, **changes)
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Ten subjects: seven train, one validates, two test."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("selection") / "data" / "tiny", 10)
    freeze_default(dataset)
    return dataset


@pytest.fixture(scope="module")
def chosen(tiny, tmp_path_factory):
    """A run with a selection."""
    made = plan(recipe(), tiny, tmp_path_factory.mktemp("runs"))
    return made, run(made, Place())


def garbage(dataset, cases):
    for case in cases:
        old = read_label(dataset.path(case.label.file))
        write_nifti(dataset.path(case.label.file), Volume((3 - old.array).astype("uint8"), old.affine))


def test_the_best_step_on_validation_is_tested_and_the_record_says_which(chosen, tiny, tmp_path):
    made, record = chosen
    assert (record.status, record.selection) == ("done", "best_val")
    assert list(record.chosen.dice) == [3, 6, 9, 12]
    assert record.chosen.dice[record.chosen.step] == max(record.chosen.dice.values())
    assert len(set(record.chosen.dice.values())) > 1
    # What is tested is that step's model, and its validation Dice is what the scorer finds.
    where = predict.Setting()
    predict.predict(made.folder / "model", tiny, made.validation, tmp_path / "val", where)
    found = score(tmp_path / "val", tiny, made.validation)
    dice = statistics.fmean(
        statistics.fmean(s.metrics["dice:v1"] if s.status == "ok" else 0.0 for s in found if s.label == label)
        for label in tiny.labels
    )
    assert record.chosen.dice[record.chosen.step] == pytest.approx(dice)
    assert {s.case for s in record.cases} == {case.id for case in made.test}
    assert Record.load(made.folder / "record.json") == record


def test_the_labels_and_the_time_of_a_selection_are_counted(chosen, tiny, tmp_path):
    made, record = chosen
    last = run(plan(recipe("last", snapshots=0), tiny, tmp_path), Place())
    assert record.budget.validation_subjects == len(made.split.val) == 1
    assert last.budget.validation_subjects == 0
    assert record.budget.labelled_subjects == last.budget.labelled_subjects + 1
    cases = made.validation
    assert record.budget.labelled_cases == last.budget.labelled_cases + len(cases)
    voxels = sum(int(np.prod(case.geometry.shape)) for case in cases)
    assert record.budget.annotated_voxels == last.budget.annotated_voxels + voxels
    assert record.validation.items == 4 * len(cases) and record.validation.seconds > 0
    assert record.predict.items == len(made.test)
    assert last.validation is None and last.chosen is None
    assert not {"chosen", "validation"} & json.loads(canonical_json(last)).keys()
    assert json.loads(canonical_json(last))["format"] == FORMAT


def test_a_selected_record_holds_before_every_rule(chosen, tiny):
    made, _ = chosen
    (claimed,) = claims(made.folder, made.folder.parent / "scratch", None)
    results = verify(claimed, 2, Means(tiny.root.parent))
    broken = {result.rule: result.found for result in results if not result.holds}
    assert broken.keys() <= {"commit"}, broken


def test_nothing_but_the_chosen_model_stays(chosen):
    made, _ = chosen
    assert not (made.folder / "validation").exists()
    assert not (made.folder / "model" / "snapshots").exists()
    assert (made.folder / "model" / "model.safetensors").is_file()


def test_garbage_in_test_labels_changes_no_choice(chosen, tmp_path):
    _, clean = chosen
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 10)
    garbage(dataset, dataset.only(freeze_default(dataset).test).cases)
    found = run(plan(recipe(), dataset, tmp_path / "runs"), Place())
    assert found.chosen == clean.chosen
    assert found.digests["predictions"] == clean.digests["predictions"]
    assert found.cases != clean.cases


def test_a_validation_label_that_is_not_the_one_known_is_refused(tmp_path):
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 10)
    garbage(dataset, dataset.only(freeze_default(dataset).val).cases)
    with pytest.raises(BenchError, match="not those that the sidecar names"):
        run(plan(recipe(steps=4, snapshots=1), dataset, tmp_path / "runs"), Place())


@pytest.mark.fault(69)
def test_a_run_that_stopped_while_selecting_ends_the_same(chosen, tiny, tmp_path):
    _, whole = chosen

    class Gone(BaseException):
        pass

    def stop(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("select", 2):
            raise Gone

    made = plan(recipe(), tiny, tmp_path)
    with pytest.raises(Gone):
        run(made, Place(progress=stop))
    assert not (made.folder / "record.json").exists()
    assert run(made, Place()).core() == whole.core()


def test_the_last_step_is_what_it_was_before_there_was_a_choice(tiny, tmp_path):
    named = plain(recipe("last", snapshots=0))
    assert "snapshots" not in named["train"] and named["selection"] == "last"
    made = [plan(recipe("last", snapshots=count), tiny, tmp_path) for count in (0, 4)]
    records = [run(each, Place()) for each in made]
    assert records[0].digests["predictions"] == records[1].digests["predictions"]
    assert digest(named) == records[0].digests["recipe"]


def test_a_split_without_validation_subjects_is_refused_before_anything_runs(tmp_path):
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 4)
    freeze_default(dataset)
    with pytest.raises(BenchError, match="no validation subject"):
        plan(recipe(), dataset, tmp_path / "runs")
    assert plan(recipe("last"), dataset, tmp_path / "runs").validation == ()


def test_a_selection_says_what_it_is_from():
    assert resolve(Choice(dataset="acdc", preset="cpu", settings=("selection=best_val",)), False).train.snapshots == 10
    few = Choice(dataset="acdc", preset="cpu", settings=("selection=best_val", "train.steps=4"))
    assert resolve(few, False).train.snapshots == 4
    for setting in ("train.snapshots=0", "train.snapshots=9999", "selection=best_test"):
        with pytest.raises(BenchError):
            resolve(Choice(dataset="acdc", preset="cpu", settings=("selection=best_val", setting)), False)
    assert resolve(Choice(dataset="acdc", preset="cpu"), False).train.snapshots == 0
