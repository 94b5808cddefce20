"""Planted signals are found: each task through `bench run` on made-up heads, in minutes on one core (`make tasks`)."""

from pathlib import Path

import pytest

from converters.phantoms import ixi
from leaderboards.record import Record

pytestmark = pytest.mark.tasks
PEOPLE = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """T1 of made-up persons whose sex and age change the head, converted without label maps."""
    from bench.cli import main

    folder = tmp_path_factory.mktemp("planted")
    ixi.write(folder / "raw", PEOPLE, 0, ixi.Quirks(signal=True, contrasts=("T1",), labels=False))
    with pytest.raises(SystemExit) as left:
        main(["convert", "ixi", str(folder / "raw"), str(folder / "data"), "--jobs", "1"])
    assert not left.value.code
    return folder / "data"


@pytest.fixture
def run(bench, data, tmp_path):
    """Runs a task and gives its scores: metric -> values over test cases and labels."""

    def go(task: str) -> dict[str, list[float]]:
        words = ("--dataset", "phantom-ixi-t1", "--protocol", "full", "--task", task, "--device", "cpu")
        done = bench("run", *words, "--data", data, "--runs", tmp_path / "runs", "--set", "train.threads=1")
        assert done.code == 0, done.err
        (found,) = Path(tmp_path / "runs").rglob("record.json")
        record = Record.load(found)
        assert record.status == "done" and record.task == task
        assert all(score.status == "ok" for score in record.cases)
        values: dict[str, list[float]] = {}
        for score in record.cases:
            for metric, value in score.metrics.items():
                values.setdefault(metric, []).append(value)
        return values

    return go


def mean(values):
    return sum(values) / len(values)


def test_sex_is_told_nine_times_in_ten(run):
    assert mean(run("sex")["accuracy:v1"]) > 0.9


def test_age_is_told_twice_as_well_as_by_a_constant(run):
    found = run("age")
    assert mean(found["absolute_error_years:v1"]) < 0.5 * mean(found["constant_absolute_error_years:v1"])


def test_super_resolution_is_a_decibel_better_than_linear_interpolation(run):
    found = run("superres")
    assert mean(found["psnr_db:v1"]) >= mean(found["psnr_db_linear:v2"]) + 1


def test_an_autoencoder_is_better_than_the_mean_image(run):
    found = run("autoencoder")
    assert mean(found["psnr_db:v1"]) >= mean(found["psnr_db_mean_image:v2"]) + 1
