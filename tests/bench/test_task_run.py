"""A run of each task, end to end: the same folder, record and command line as a run on label maps."""

import json

import pytest
from tiny import tiny_dataset
from views import valued

from bench import splits
from converters.dataset import Dataset
from leaderboards.record import Record

SETTINGS = (
    "train.net={widths = [4, 8], dropout = [0.0, 0.0], latent = 6}",
    "train.patch=[8, 16, 16]",
    "train.steps=4",
    "train.batch=4",
    "train.threads=1",
    "train.deterministic=true",
)
SCORED = {"sex": {"F", "M"}, "age": {"age_years"}, "autoencoder": {"cine"}, "superres": {"cine"}}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve subjects with a sex and an age."""
    root = tmp_path_factory.mktemp("run") / "data"
    dataset = valued(tiny_dataset(root / "tiny", 12))
    dataset.save()
    splits.freeze_default(dataset)
    return root


@pytest.mark.parametrize("task", SCORED)
def test_a_task_runs_from_view_to_table(task, bench, data, tmp_path):
    words = ["run", "--dataset", "tiny", "--protocol", "semi50", "--task", task, "--preset", "cpu", "--device", "cpu"]
    words += [word for setting in SETTINGS for word in ("--set", setting)]
    words += ["--data", data, "--runs", tmp_path / "runs", "--json"]
    done = bench(*words)
    assert done.code == 0, done.err
    (file,) = (tmp_path / "runs").rglob("record.json")
    record = Record.load(file)
    assert (record.status, record.task, record.protocol) == ("done", task, "semi50")
    test = Dataset.load(data / "tiny").only(splits.resolve(Dataset.load(data / "tiny"), "default").test).cases
    assert {(score.case, score.label) for score in record.cases} == {(c.id, n) for c in test for n in SCORED[task]}
    assert all(score.status == "ok" and score.metrics for score in record.cases)
    made = {path.name.partition(".")[0] for path in (file.parent / "predictions").iterdir()}
    assert made == {case.id for case in test}
    assert record.budget.labelled_subjects == (5 if task in ("sex", "age") else 0)
    assert all(f"prediction:{case.id}" in record.digests for case in test)
    # The same command finds it done, and a table has a row of it.
    before = file.read_bytes()
    assert bench(*words).code == 0 and file.read_bytes() == before
    rows = json.loads(bench("table", tmp_path / "runs", "--json").out)
    assert rows


def test_a_method_for_label_maps_is_skipped_with_the_reason(bench, data, tmp_path):
    words = ["run", "--dataset", "tiny", "--task", "sex", "--method", "mean_teacher", "--device", "cpu"]
    done = bench(*words, "--preset", "cpu", "--data", data, "--runs", tmp_path / "runs")
    assert done.code == 0, done.err
    told = "skipped: mean_teacher is skipped: it learns label maps, and not task 'sex'; take another method or view"
    assert told in done.out + done.err
