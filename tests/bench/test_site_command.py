"""`bench site` and the pictures it draws: whose, of which cases, and of nobody else."""

import json
import subprocess
import sys

import msgspec
import numpy as np
import pytest
from contents import tree
from PIL import Image
from tiny import tiny_dataset

from bench import splits
from bench.pictures import extremes
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import Record

RANKS = ("best", "median", "worst")


@pytest.fixture
def scored(tmp_path, bench):
    """Makes a run of a dataset of that name with four test cases, each worse than the one before; gives its folder."""

    def made(name):
        dataset = tiny_dataset(tmp_path / "data" / name, 10)
        dataset = type(dataset)(dataset.root, msgspec.structs.replace(dataset.file, name=name), dataset.cases)
        dataset.save()
        splits.freeze_default(dataset)
        run = tmp_path / "runs" / name
        tested = dataset.only(dataset.split("default").test).cases
        for lost, case in enumerate(sorted(tested, key=lambda case: case.id)):
            label = read_label(dataset.path(case.label.file))
            array = label.array.copy()
            array[..., : (0, 2, 3, 4)[lost]] = 0  # the first of the four slices is empty
            write_nifti(run / "predictions" / f"{case.id}.nii.gz", Volume(array, label.affine))
        assert bench("score", run / "predictions", dataset.root, "--method", "theirs", "--out", run).code == 0
        return run

    return made


def test_the_worst_the_median_and_the_best_case_of_made_up_patients_are_drawn(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    done = bench("site", tmp_path / "runs", "--data", tmp_path / "data", "--out", tmp_path / "site", "--json")
    assert done.code == 0 and json.loads(done.out)["pictures"] == 3
    record = Record.load(run / "record.json")
    folder = tmp_path / "site" / "runs" / record.id()[:12]
    assert sorted(path.stem for path in folder.glob("*.png")) == [*RANKS]
    cases = sorted({score.case for score in record.cases})
    text = folder.with_suffix(".html").read_text(encoding="utf-8")
    assert f"worst case by Dice: {cases[-1]}," in text and f"best case by Dice: {cases[0]}, 1.000" in text
    with Image.open(folder / "worst.png") as worst, Image.open(folder / "best.png") as best:
        assert worst.size == best.size and np.any(np.asarray(worst) != np.asarray(best))


def test_real_patients_are_drawn_only_when_asked_for(bench, scored, tmp_path):
    run = scored("tiny")
    words = ["site", run, "--data", tmp_path / "data", "--out", tmp_path / "site"]
    done = bench(*words)
    assert done.code == 0 and list((tmp_path / "site").rglob("worst.png")) == []
    assert "--overlays all" in done.err
    assert bench(*words, "--overlays", "none").code == 0
    assert list((tmp_path / "site").rglob("worst.png")) == []
    assert bench(*words, "--overlays", "all").code == 0
    assert len(list((tmp_path / "site").rglob("worst.png"))) == 1


def test_pictures_of_other_data_or_of_other_predictions_are_not_drawn(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    words = ["site", run, "--data", tmp_path / "data", "--out", tmp_path / "site"]
    for path in (run / "predictions").iterdir():
        label = read_label(path)
        write_nifti(path, Volume(np.zeros_like(label.array), label.affine))
    done = bench(*words)
    assert done.code == 0 and "not the one that was scored" in done.err
    assert list((tmp_path / "site").rglob("worst.png")) == []
    file = tmp_path / "data" / "phantom-tiny" / "dataset.json"
    file.write_text(file.read_text().replace(Record.load(run / "record.json").digests["dataset"], "0" * 64))
    assert "not the version it was scored on" in bench(*words).err


def test_committed_pictures_are_shown_of_made_up_patients_alone(bench, scored, tmp_path):
    for name in ("phantom-tiny", "tiny"):
        run = scored(name)
        done = bench("show", run, "--data", tmp_path / "data", "--extremes", "--out", tmp_path / "out", "--json")
        assert done.code == 0 and len(done.out.splitlines()) == 3
        results = tmp_path / "leaderboards" / "results" / name
        results.mkdir(parents=True)
        (run / "record.json").rename(results / "a.json")
        for rank in RANKS:
            (tmp_path / "out" / f"{rank}.png").rename(results / f"a.{rank}.png")
    assert bench("site", tmp_path / "leaderboards", "--overlays", "all", "--out", tmp_path / "site").code == 0
    run = Record.load(tmp_path / "leaderboards" / "results" / "phantom-tiny" / "a.json").id()[:12]
    assert {path.relative_to(tmp_path / "site" / "runs").as_posix() for path in tmp_path.glob("site/runs/*/*.png")} == {
        f"{run}/{rank}.png" for rank in RANKS
    }


def test_the_log_beside_a_record_becomes_a_curve_and_a_bad_one_a_sentence(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    log = run / "model" / "log.jsonl"
    log.parent.mkdir()
    log.write_text('{"step":0,"ce":1.0}\n{"step":10,"ce":0.5}\n')
    words = ["site", run, "--overlays", "none", "--out", tmp_path / "site"]
    assert bench(*words).code == 0 and len(list((tmp_path / "site").rglob("learning.svg"))) == 1
    log.write_text("{")
    done = bench(*words)
    assert done.code == 0 and "no learning curve" in done.err
    assert list((tmp_path / "site").rglob("learning.svg")) == []


def test_no_page_tells_where_on_this_machine_the_runs_lie(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "record.json").write_text("{")
    (run / "model").mkdir()
    (run / "model" / "log.jsonl").write_text("{")
    words = ["site", tmp_path / "runs", run / "record.json", "--data", tmp_path / "data", "--out", tmp_path / "site"]
    assert bench(*words).code == 0
    held = b"".join(tree(tmp_path / "site").values())
    assert b"broken/record.json" in held and str(tmp_path).encode() not in held


def test_a_folder_that_is_no_site_is_kept(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    assert bench("site", run, "--overlays", "none", "--out", run).code == 3
    assert (run / "record.json").is_file()
    assert bench("site", tmp_path / "nothing").code == 3


def test_extremes_need_a_run(bench, scored, tmp_path):
    run = scored("phantom-tiny")
    words = ["show", run / "predictions", "--dataset", "phantom-tiny", "--data", tmp_path / "data"]
    assert bench(*words, "--extremes", "--out", tmp_path / "out").code == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("known", "ranks"), [(0, []), (1, ["worst"]), (2, ["worst", "best"]), (3, ["worst", "median", "best"])]
)
def test_few_cases_have_few_extremes(bench, scored, known, ranks):
    record = Record.load(scored("phantom-tiny") / "record.json")
    cases = sorted({score.case for score in record.cases})[:known]
    found = extremes(record, cases)
    assert [one.rank for one in found] == ranks and {one.case for one in found} == set(cases)


def test_help_loads_nothing_heavy():
    code = (
        "import contextlib, sys, bench.cli\n"
        "with contextlib.suppress(SystemExit): bench.cli.main(['site', '--help'])\n"
        "print('modules:', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split("modules:")[1].split())
    assert not loaded & {"matplotlib", "jinja2", "numpy", "scipy", "torch", "PIL", "nibabel"}
