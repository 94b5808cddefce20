"""Scoring of values and images: what is right or not valid, what it is compared with; and of a run, again later."""

import dataclasses
import json
import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
import views

from baselines.config import AugmentConfig, NetConfig, TrainConfig
from baselines.degrade import degraded
from baselines.grid import faced, normalise, to_case, to_network
from baselines.task import find
from bench import splits, task_metrics
from bench.claims import Claimed, claims
from bench.plan import plan
from bench.recipe import Recipe
from bench.rescore import rescore
from bench.run import Place, run
from bench.scorer import Scorer
from bench.submission import Source, pack
from bench.value_score import Said
from bench.verify import Means, verify
from converters.errors import BenchError
from converters.volume import Volume, read_nifti, write_nifti
from leaderboards.record import Record
from leaderboards.rules import faults

TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)), steps=3, batch=4, patch=(16, 16), deterministic=True, threads=1
)
NATIVE = msgspec.structs.replace(
    TRAIN, grid="native", augment=AugmentConfig(rotate_degrees=0.0, scale=0.0, shift=0.0, gamma=0, contrast=0, noise=0)
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return views.people(tmp_path_factory.mktemp("people") / "data" / "tiny", shape=(24, 24, 3))


@pytest.fixture
def asked(people, tmp_path):
    """Makes the plan of a task, its scorer and an empty folder of predictions."""

    def made(task, protocol="full", dataset=people, **changes):
        train = msgspec.structs.replace(NATIVE, **changes)
        planned = plan(Recipe(dataset="tiny", protocol=protocol, task=task, train=train), dataset, tmp_path / "runs")
        (tmp_path / "predictions").mkdir()
        return planned, Scorer.of(planned), tmp_path / "predictions"

    return made


def scores_of(planned, scorer, folder):
    problems = []
    found = scorer.score(scorer.matches(folder, planned.test), None, problems)
    return {(score.case, score.label): score for score in found}, problems


def say(folder, case, **said):
    (folder / f"{case}.json").write_text(json.dumps(said), encoding="utf-8")


def test_a_class_is_scored_under_each_class(asked):
    planned, scorer, folder = asked("sex")
    for case in planned.test:
        other = {"M": "F", "F": "M"}[case.meta["sex"]]
        said = other if case is planned.test[0] else case.meta["sex"]
        say(folder, case.id, task="sex", value=said, probabilities={said: 0.75, {"M": "F", "F": "M"}[said]: 0.25})
    found, problems = scores_of(planned, scorer, folder)
    assert problems == []
    first, second = planned.test[0], planned.test[1]
    assert [found[first.id, sex].metrics["accuracy:v1"] for sex in "FM"] == [0.0, 0.0]
    assert found[second.id, second.meta["sex"]].metrics["probability:v1"] == 0.75
    assert found[second.id, second.meta["sex"]].metrics["truth:v1"] == 1.0
    score = found[second.id, "F"]
    assert (score.status, score.tp, score.fp, score.fn, score.ignored) == ("ok", 0, 0, 0, 0)
    spans = [n * mm for n, mm in zip(second.geometry.shape, second.geometry.spacing_mm, strict=True)]
    assert score.diagonal_mm == pytest.approx(np.linalg.norm(spans))


def test_a_number_is_compared_with_the_median_of_the_values_that_training_saw(asked, people):
    planned, scorer, folder = asked("age", "semi30")
    for case in planned.test:
        say(folder, case.id, task="age", value=case.meta["age_years"] + 2)
    found, _ = scores_of(planned, scorer, folder)
    seen = [case.meta["age_years"] for case in people.only(scorer.asked.visible).cases]
    assert len(scorer.asked.visible) == splits.count(30, len(planned.split.train))
    for case in planned.test:
        metrics = found[case.id, "age_years"].metrics
        assert metrics["absolute_error_years:v1"] == metrics["error_years:v1"] == pytest.approx(2)
        wanted = abs(float(np.median(seen)) - case.meta["age_years"])
        assert metrics["constant_absolute_error_years:v1"] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (None, "there is no prediction"),
        ({"task": "age", "value": 40.0}, "of task 'age'"),
        ({"task": "sex", "value": "F"}, "no shares that add up to 1"),
        ({"task": "sex", "value": "F", "probabilities": {"F": 0.9, "M": 0.3}}, "no shares that add up to 1"),
        ({"task": "sex", "value": "F", "probabilities": {"F": 0.3, "M": 0.7}}, "not its most probable class"),
        ({"task": "sex", "value": "X", "probabilities": {"X": 1.0}}, "X: not of F, M"),
        ({"task": "sex", "value": "F", "probabilities": {"F": 2.0, "M": -1.0}}, "no shares"),
        ({"task": "sex", "value": "F", "probabilities": {"F": 1.0}, "truth": "M"}, "unknown field"),
    ],
)
def test_what_is_no_valid_prediction_is_told_and_scored_as_the_worst(asked, said, told):
    planned, scorer, folder = asked("sex")
    for case in planned.test[1:]:
        say(folder, case.id, task="sex", value="F", probabilities={"F": 1.0, "M": 0.0})
    first = planned.test[0].id
    if said is not None:
        say(folder, first, **said)
    found, problems = scores_of(planned, scorer, folder)
    assert len(problems) == 1 and told in problems[0] and first in problems[0]
    assert found[first, "F"].status == "invalid" and found[first, "F"].metrics["accuracy:v1"] is None
    assert found[first, "F"].metrics["truth:v1"] is not None
    unread = said is None or "truth" in said
    assert len(scorer.digests(scorer.matches(folder, planned.test))) == len(planned.test) - unread


@pytest.mark.parametrize("value", ["old", 1e999, None])
def test_a_number_must_be_one(asked, value):
    planned, scorer, folder = asked("age")
    say(folder, planned.test[0].id, task="age", value=value)
    found, problems = scores_of(planned, scorer, folder)
    assert len(problems) == len(planned.test)
    assert {score.status for score in found.values()} == {"invalid"}


def stored(people, case):
    """The first channel of a case as it lies on disk."""
    return read_nifti(people.path(next(iter(case.images.values())).file))


@pytest.mark.parametrize("plane", ["stack", "sagittal", "coronal"])
def test_an_image_is_compared_with_what_linear_interpolation_makes_of_the_coarse_one(asked, people, plane):
    planned, scorer, folder = asked("superres", plane=plane)
    for case in planned.test:
        volume = stored(people, case)
        geometry = faced(case, planned.recipe.train).geometry
        image = normalise(np.ascontiguousarray(to_network(volume.array, geometry))[None], None)
        linear = to_case(degraded(image, 2, 4)[0].numpy(), geometry)
        write_nifti(folder / f"{case.id}.nii.gz", Volume(linear, volume.affine))
    found, problems = scores_of(planned, scorer, folder)
    assert problems == []
    for score in found.values():
        assert score.metrics["psnr_db:v1"] == pytest.approx(score.metrics["psnr_db_linear:v2"])
        assert 5 < score.metrics["psnr_db:v1"] < 60 and -1 < score.metrics["ssim:v1"] < 1


def test_an_image_out_of_a_code_is_compared_with_the_mean_of_the_training_images(asked, people):
    planned, scorer, folder = asked("autoencoder")
    for case in planned.test:
        volume = stored(people, case)
        values = normalise(volume.array[None], None)[0].numpy()
        write_nifti(folder / f"{case.id}.nii.gz", Volume(values, volume.affine))
    found, _ = scores_of(planned, scorer, folder)
    assert {score.metrics["psnr_db:v1"] for score in found.values()} == {100.0}
    train = [stored(people, case).array for case in people.only(planned.split.train).cases]
    mean = np.mean([normalise(array[None], None)[0].numpy() for array in train], axis=0)
    case = planned.test[0]
    own = normalise(stored(people, case).array[None], None)[0].numpy()
    expected = task_metrics.psnr(own, mean)
    assert found[case.id, people.channels[0]].metrics["psnr_db_mean_image:v2"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("plane", ["stack", "axial", "sagittal"])
def test_the_mean_image_does_not_hang_on_how_cases_were_stacked(asked, people, plane):
    def along(case, axis):
        return msgspec.structs.replace(case, geometry=msgspec.structs.replace(case.geometry, slice_axis=axis))

    turned = (along(case, number % 3) for number, case in enumerate(people.cases))
    mixed = dataclasses.replace(people, cases=tuple(turned))
    planned, scorer, folder = asked("autoencoder", dataset=mixed, plane=plane)
    found, _ = scores_of(planned, scorer, folder)
    train = [stored(people, case).array for case in people.only(planned.split.train).cases]
    mean = np.mean([normalise(array[None], None)[0].numpy() for array in train], axis=0)
    for case in planned.test:
        own = normalise(stored(people, case).array[None], None)[0].numpy()
        compared = found[case.id, people.channels[0]].metrics["psnr_db_mean_image:v2"]
        assert compared == pytest.approx(task_metrics.psnr(own, mean), abs=1e-3)


def test_an_image_on_another_grid_or_not_finite_is_not_valid(asked, people):
    planned, scorer, folder = asked("superres")
    first, second = planned.test[:2]
    for case in planned.test:
        shape = (24, 24, 4) if case is first else case.geometry.shape
        black = Volume(np.zeros(shape, np.float32), np.array(case.geometry.affine))
        write_nifti(folder / f"{case.id}.nii.gz", black)
    (folder / f"{second.id}.nii.gz").write_bytes(b"no image")
    found, problems = scores_of(planned, scorer, folder)
    assert len(problems) == 2 and "shape (24, 24, 4)" in problems[0]
    assert [found[case.id, people.channels[0]].status for case in planned.test[:3]] == ["invalid", "invalid", "ok"]


def test_the_page_shows_predictions_that_are_valid(asked):
    page = (Path(__file__).parents[2] / "docs" / "tasks.md").read_text(encoding="utf-8")
    shown = {block["task"]: block for block in map(json.loads, re.findall(r"```json\n(.*?)```", page, re.DOTALL))}
    assert shown.keys() == {"sex", "age"}
    planned, scorer, folder = asked("sex")
    for case in planned.test:
        say(folder, case.id, **shown["sex"])
    assert scores_of(planned, scorer, folder)[1] == []
    assert isinstance(msgspec.convert(shown["age"], Said).value, float)


def test_no_value_leaves_nothing_to_score(people, tmp_path):
    scorer = Scorer.of(plan(Recipe(dataset="tiny", task="sex", train=TRAIN), people, tmp_path))
    with pytest.raises(BenchError, match="no case to score"):
        scorer.matches(tmp_path, ())


@pytest.fixture(scope="module", params=["sex", "age", "superres", "autoencoder"])
def done(request, people, tmp_path_factory):
    """A finished run of each task, a handful of steps long."""
    folder = tmp_path_factory.mktemp(request.param)
    net = NetConfig(widths=(4, 8), dropout=(0.0, 0.0), latent=8) if request.param == "autoencoder" else TRAIN.net
    train = msgspec.structs.replace(NATIVE if request.param == "superres" else TRAIN, net=net)
    planned = plan(Recipe(dataset="tiny", task=request.param, train=train), people, folder / "runs")
    return run(planned, Place()), planned


def test_a_run_of_a_task_holds_what_every_rule_asks_for(done):
    record, planned = done
    assert (record.status, record.task) == ("done", planned.recipe.task)
    assert faults(record) == []
    assert record.definitions["metrics"] == task_metrics.version()
    predicted = {key for key in record.digests if key.startswith("prediction:")}
    assert predicted == {f"prediction:{case.id}" for case in planned.test}
    assert Record.load(planned.folder / "record.json") == record


def test_a_run_of_a_task_is_verified_and_scored_again(done, people):
    record, planned = done
    claimed = Claimed.at(planned.folder / "record.json", "run")
    results = verify(claimed, 2, Means(people.root.parent))
    fine = {result.rule for result in results if result.holds}
    assert {result.rule for result in results} - fine <= {"commit"}
    again = rescore(Source.at(planned.folder, None), people.root.parent)
    assert again.cases == record.cases


def test_a_changed_prediction_of_a_task_is_found(done, people, tmp_path):
    _, planned = done
    copy = shutil.copytree(planned.folder, tmp_path / "run")
    case = planned.test[0].id
    for path in (copy / "predictions").glob(f"{case}*"):
        path.unlink()
    results = verify(Claimed.at(copy / "record.json", "run"), 1, Means(people.root.parent))
    assert [result.rule for result in results if result.found and result.rule != "commit"] == ["voxels"]
    with pytest.raises(BenchError, match=case):
        rescore(Source.at(copy, None), people.root.parent)


def test_values_are_handed_on_with_their_record_and_images_of_patients_are_not(done, people, tmp_path):
    record, planned = done
    out, source = tmp_path / "sent", Source.at(planned.folder, None)
    if find(record.task).kind == "image":
        with pytest.raises(BenchError, match="nearly the image of a patient"):
            pack([source], out, with_models=False)
        assert not out.exists()
        return
    pack([source], out, with_models=False)
    (claimed,) = claims(out, tmp_path / "scratch")
    results = verify(claimed, 1, Means(people.root.parent))
    assert [result.rule for result in results if result.found and result.rule != "commit"] == []
    assert {path.name for path in claimed.predictions.iterdir()} == {f"{case.id}.json" for case in planned.test}
