"""`bench predict` with its choices, and that a record's own choices are taken when it is verified."""

import json

import msgspec
import pytest

from baselines import agreement
from baselines.config import NetConfig, PredictConfig, TrainConfig
from baselines.predict import Setting
from baselines.predict import predict as cases
from bench.claims import claims
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.verify import Means, verify
from converters.errors import BenchError

QUICK = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=20,
    batch=4,
    lr=0.02,
    patch=(16, 16),
    grid=(1.5, 1.5),
    precision="bf16",
    deterministic=True,
    threads=1,
    checkpoint_every=100,
)


def ran(hearts, **predict):
    """The record of a run, and its folder."""
    recipe = Recipe(dataset="tiny", protocol="semi20", train=QUICK, predict=PredictConfig(**predict))
    planned = plan(recipe, hearts, hearts.root.parents[1] / "runs")
    return run(planned, Place()), planned.folder


@pytest.fixture
def model(hearts):
    return ran(hearts)[1] / "model"


@pytest.fixture
def predict(bench, hearts, model, tmp_path):
    """Predicts the test subjects as typed: the answer, and the label maps."""

    def go(*flags):
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        where = ("--dataset", "tiny", "--data", hearts.root.parent, "--split", "default", "--device", "cpu")
        done = bench("predict", model, "--out", out, *where, *flags)
        return done, {path.name: path.read_bytes() for path in out.glob("*.nii.gz")}

    return go


def test_flags_decide_the_label_maps_and_the_defaults_are_those_of_a_run(predict, model):
    plain = predict()[1]
    assert plain == {path.name: path.read_bytes() for path in (model.parent / "predictions").iterdir()}
    assert predict("--overlap", 0.5, "--precision", "trained")[1] == plain
    for flags in (["--mirror"], ["--overlap", 0]):
        done, made = predict(*flags)
        assert done.code == 0 and made.keys() == plain.keys() and made != plain


def test_precision_is_that_of_the_training_or_float32(predict):
    for asked, got in (("trained", "bf16"), ("fp32", "fp32")):
        told = json.loads(predict("--json", "--precision", asked)[0].out)
        assert told["cost"]["precision"] == got


@pytest.mark.parametrize("flags", [["--overlap", 1], ["--precision", "int8"], ["--check", 0]])
def test_what_cannot_be_asked_for_is_a_usage_error(predict, flags):
    assert predict(*flags)[0].code == 2


@pytest.mark.parametrize(("most", "code"), [(1.0, 0), (-1.0, 1)])
def test_the_check_counts_voxels_that_float32_labels_otherwise(predict, monkeypatch, most, code):
    monkeypatch.setattr(agreement, "MOST", most)
    done, half = predict("--check", 2, "--json")
    told = json.loads(done.out)["float32"]
    assert done.code == code
    assert (told["cases"], told["voxels"]) == (2, 2 * 32 * 28 * 4)
    exact = predict("--precision", "fp32")[1]
    assert (told["differ"] == 0) == all(half[name] == exact[name] for name in sorted(half)[:2])


def test_the_check_is_told_in_words_and_finds_nothing_between_float32_and_itself(predict):
    done, _ = predict("--precision", "fp32", "--check")
    assert done.code == 0
    assert "float32: 0 of 3584 voxels differ in the first 1 cases, 0.00 in 10 000" in done.err


def test_a_record_is_verified_with_its_own_way_of_predicting(hearts, tmp_path):
    usual, _ = ran(hearts)
    record, folder = ran(hearts, mirror=True, overlap=0.0)
    assert record.digests["model"] == usual.digests["model"]
    assert record.digests["predictions"] != usual.digests["predictions"]
    record = msgspec.structs.replace(record, code={**record.code, "commit": "a" * 40, "dirty": "false"})
    record.save(folder / "record.json")
    (claimed,) = claims(folder, tmp_path / "scratch")
    broken = {result.rule: result.found for result in verify(claimed, 2, Means(hearts.root.parent)) if result.found}
    assert broken == {}


def test_a_damaged_case_is_told_and_the_others_are_predicted(predict, model, hearts, tmp_path):
    first, *others = hearts.only(hearts.split("default").test).cases
    whole = predict("--precision", "fp32")[1]
    image = hearts.path(first.images["cine"].file)
    image.write_bytes(image.read_bytes()[:500])
    done, made = predict("--precision", "fp32", "--check")
    assert done.code == 3 and image.name in done.err and "3 of 4 cases" in done.err
    assert "0 of 3584 voxels differ" in done.err  # of the first case that there is
    assert made == {f"{case.id}.nii.gz": whole[f"{case.id}.nii.gz"] for case in others}
    told = json.loads(predict("--json")[0].out)
    assert (told["unread"], told["cost"]["items"]) == ([first.id], 3)
    with pytest.raises(BenchError, match=image.name):  # a run has every case or fails
        cases(model, hearts, [others[0], first], tmp_path / "run", Setting())
    for case in others:
        hearts.path(case.images["cine"].file).unlink()
    done, made = predict()
    assert (done.code, made) == (3, {})
