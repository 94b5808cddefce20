"""Stages: several trainings in one method, each on labels of its own, drawn or predicted."""

import dataclasses

import msgspec
import numpy as np
import pytest
import torch
from contents import labels, tree
from safetensors import safe_open
from safetensors.torch import load_file
from staged import HEAD, TWO
from tiny import tiny_dataset
from views import hide, weights

from baselines import predict
from baselines.meter import Meter, Tally
from baselines.model import load_model
from baselines.stages import Stage, steps_of
from baselines.train import RefusedError, Setting, train
from bench import protocols, splits
from bench.views import view
from converters.dataset import IGNORE, Dataset
from converters.errors import BenchError
from converters.volume import read_label, write_nifti

THREE = (
    HEAD
    + """
class Three(Parent):
    stages = (
        Stage("warm-up", 0.5),
        Stage("second", 0.25, relabel=True, predicted=True),
        Stage("third", 0.25, relabel=True, predicted=True),
    )
    def relabel(self, cases):
        for case in cases:
            before = 0 if case.previous is None else case.previous
            mean = (0.5 * case.probabilities + 0.5 * before).astype(np.float16)
            yield case.label, mean
"""
)
DRAWN = (
    HEAD
    + """
class Drawn(Parent):
    stages = (Stage("train", relabel=True),)
    def relabel(self, cases):
        assert len(cases[:2]) == 2
        for case in cases:
            assert case.probabilities is None and case.previous is None
            guess = case.rng.integers(0, 4, case.label.shape).astype(np.uint8)
            yield np.where(case.label == 255, np.where(guess == 0, 255, guess), case.label).astype(np.uint8)
"""
)
AFRESH = (
    HEAD
    + """
class Afresh(Parent):
    stages = (Stage("first", 0.5), Stage("second", 0.5, fresh=True))
"""
)


def test_steps_of_stages_are_those_of_the_recipe():
    thirds = [Stage(name, 1 / 3) for name in "abc"]
    assert [sum(steps_of(thirds, steps)) for steps in range(3, 40)] == list(range(3, 40))
    assert steps_of([Stage("a", 0.1), Stage("b", 0.9)], 1000) == [100, 900]


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([Stage("a", 0.5), Stage("b", 0.4)], "not 1 together"),
        ([Stage("a", 0.5), Stage("a", 0.5)], "no names of folders"),
        ([Stage("a", relabel=True, predicted=True)], "no stage before it"),
        ([Stage("a", 0.5), Stage("b", 0.5, predicted=True)], "draws no labels"),
        ([Stage("a", 0.01), Stage("b", 0.99)], "without a step"),
    ],
)
def test_stages_that_cannot_be_are_refused(stages, told):
    with pytest.raises(BenchError, match=told):
        steps_of(stages, 10)


def test_a_stage_learns_labels_that_the_stage_before_predicted(scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    trained = train(scribbles, small(method=name), tmp_path / "m", Setting(plugin=path))
    drawn = Dataset.load(tmp_path / "m" / "second" / "view")
    shown, made = labels(scribbles), labels(drawn)
    assert made.keys() == {case.id for case in scribbles.cases}
    assert all((made[case][shown[case] != IGNORE] == shown[case][shown[case] != IGNORE]).all() for case in shown)
    assert all((made[case] != IGNORE).all() for case in made)
    # What fills the gaps is what the first stage predicts.
    asked = predict.Setting(plugin=path)
    cost = predict.predict(tmp_path / "m" / "first", scribbles, scribbles.cases, tmp_path / "p", asked)
    assert cost.items == len(scribbles.cases)
    for case in scribbles.cases:
        predicted = read_label(tmp_path / "p" / f"{case.id}.nii.gz").array
        open_ = shown[case.id] == IGNORE
        assert (made[case.id][open_] == predicted[open_]).all()
    assert {case.label.kind for case in drawn.cases} == {"pseudo"}
    # Costs add up, and following on is no interruption.
    assert (trained.cost.items, trained.cost.segments) == (6 * 4, 1)
    assert 0 < trained.cost.stages_s["relabel"] < trained.cost.seconds
    log = [msgspec.json.decode(line) for line in (tmp_path / "m" / "log.jsonl").open("rb")]
    assert [line["step"] for line in log] == [0, 2, 3, 5]


def test_the_rate_of_a_stage_begins_anew_and_weights_go_on(scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    seen = []
    config = small(method=name, lr=0.01)
    train(
        scribbles, config, tmp_path / "m", Setting(plugin=path, progress=lambda done, total: seen.append((done, total)))
    )
    assert seen == [(step, 6) for step in range(1, 7)]
    rates = []
    for stage in ("first", "second"):
        with safe_open(tmp_path / "m" / stage / "checkpoint.safetensors", "pt") as stored:
            rates.append(msgspec.json.decode(stored.metadata()["frugalseg"])["groups"][0]["lr"])
    assert rates[0] == rates[1] == pytest.approx(0.01 * (1 - 2 / 3) ** 0.9)
    method, _ = load_model(tmp_path / "m", torch.device("cpu"), path)
    assert method.stage.name == "second"
    assert weights(tmp_path / "m") == weights(tmp_path / "m" / "second") != weights(tmp_path / "m" / "first")


def test_a_stage_may_start_afresh(partly, small, tmp_path, plugin):
    name, path = plugin(AFRESH)
    _, going_on = plugin(AFRESH.replace("Afresh", "Onward").replace(", fresh=True", ""))
    config = small(method=name, lr=1e-9, weight_decay=0.0)
    train(partly, config, tmp_path / "a", Setting(plugin=path))
    train(partly, small(method="onward", lr=1e-9, weight_decay=0.0), tmp_path / "b", Setting(plugin=going_on))
    first, second, carried = (
        load_file(tmp_path / folder / "model.safetensors") for folder in ("a/first", "a/second", "b/second")
    )
    key = next(k for k in first if k.endswith("conv.weight"))
    torch.testing.assert_close(first[key], carried[key], atol=1e-5, rtol=0)
    assert not torch.allclose(first[key], second[key], atol=1e-3)


def test_labels_drawn_before_the_first_stage_are_those_of_the_case_alone(scribbles, small, tmp_path, plugin):
    name, path = plugin(DRAWN)
    config = small(method=name)
    for seed, out in ((0, "a"), (0, "b"), (1, "c")):
        train(scribbles, config, tmp_path / out, Setting(plugin=path, seed=seed))
    half = dataclasses.replace(scribbles, cases=scribbles.cases[3:])
    train(half, config, tmp_path / "d", Setting(plugin=path))
    views = {out: labels(Dataset.load(tmp_path / out / "train" / "view")) for out in "abcd"}
    assert all((views["a"][case] == views["b"][case]).all() for case in views["a"])
    assert all((views["a"][case] == views["d"][case]).all() for case in views["d"])
    assert any((views["a"][case] != views["c"][case]).any() for case in views["a"])
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_a_state_comes_back_at_the_next_relabelling(partly, small, tmp_path, plugin):
    name, path = plugin(THREE)
    train(partly, small(method=name, steps=8), tmp_path / "m", Setting(plugin=path))
    case = partly.cases[0]
    with np.load(tmp_path / "m" / "second" / "states" / f"{case.id}.npz") as one:
        first = one["state"]
    with np.load(tmp_path / "m" / "third" / "states" / f"{case.id}.npz") as two:
        second = two["state"]
    assert first.dtype == np.float16 and first.shape == (4, *case.geometry.shape)
    method, spec = load_model(tmp_path / "m" / "second", torch.device("cpu"), path)
    meter = Meter(torch.device("cpu"), Tally())
    windows = predict.windows_of(method, spec, predict.DEFAULT, torch.device("cpu"))
    with torch.inference_mode():
        soft = predict.case_probabilities(windows, predict.case_image(spec, partly, meter, case), case, meter)
    np.testing.assert_allclose(soft.sum(0), 1, atol=1e-5)
    np.testing.assert_allclose(second, 0.5 * soft + 0.5 * first, atol=2e-3)
    # Labels that stay as they are stay what they were, and cases without any stay without.
    drawn = Dataset.load(tmp_path / "m" / "third" / "view")
    assert [c.label and (c.label.kind, c.label.origin) for c in drawn.cases] == [
        c.label and (c.label.kind, c.label.origin) for c in partly.cases
    ]


def test_the_drawn_view_holds_no_more_than_training_may_see(tmp_path, small, plugin):
    name, path = plugin(TWO)
    made = {}
    for what in ("clean", "poisoned"):
        dataset = tiny_dataset(tmp_path / what / "tiny", 8)
        split = splits.freeze_default(dataset)
        seen = view(dataset, split, protocols.parse("semi20"), 0, tmp_path / what / "view")
        shown = {case.id for case in seen.cases if case.label is not None}
        if what == "poisoned":
            for case in dataset.cases:
                if case.id not in shown:
                    old = read_label(dataset.path(case.label.file))
                    write_nifti(dataset.path(case.label.file), dataclasses.replace(old, array=3 - old.array))
        train(seen, small(method=name), tmp_path / what / "m", Setting(plugin=path))
        made[what] = tree(tmp_path / what / "m" / "second" / "view"), weights(tmp_path / what / "m")
        everything = b"\n".join(made[what][0].values())
        for case in dataset.cases:
            hidden = case.id not in shown
            told = [case.native_id, case.sources[0].path, "volume_ml", f"tiny/labelsTr/{case.id}"]
            told += [case.label.data_sha256] if hidden else []
            assert not [text for text in told if text.encode() in everything]
        assert {case.id for case in Dataset.load(tmp_path / what / "m" / "second" / "view").cases} == {
            case.id for case in seen.cases
        }
    assert made["clean"] == made["poisoned"]


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        ("yield case.label[:-1]", "a label map of uint8"),
        ("yield case.label.astype(float)", "a label map of float64"),
        ("yield np.full_like(case.label, 9)", "codes .9. for 4 classes"),
        ("return\n            yield", "fewer label maps"),
        ("yield case.label; yield case.label", "more label maps"),
    ],
)
def test_label_maps_that_do_not_fit_leave_no_view(drawn, told, scribbles, small, tmp_path, plugin):
    body = f"    def relabel(self, cases):\n        for case in cases:\n            {drawn}\n"
    name, path = plugin(DRAWN.partition("    def relabel")[0] + body)
    with pytest.raises(BenchError, match=told):
        train(scribbles, small(method=name), tmp_path / "m", Setting(plugin=path))
    assert not [p for p in (tmp_path / "m").rglob("*") if "view" in p.name]


def test_a_method_that_refuses_draws_nothing_first(partly, small, tmp_path, plugin):
    name, path = plugin(DRAWN)
    with pytest.raises(RefusedError, match="nothing is annotated"):
        train(hide(partly, ()), small(method=name), tmp_path / "m", Setting(plugin=path))
    assert not (tmp_path / "m").exists()


def test_a_case_drawn_all_unknown_has_no_label(partly, small, tmp_path, plugin):
    body = "    def relabel(self, cases):\n        for n, case in enumerate(cases):\n"
    body += "            yield case.label if n else np.full_like(case.label, 255)\n"
    name, path = plugin(DRAWN.partition("    def relabel")[0] + body)
    train(partly, small(method=name), tmp_path / "m", Setting(plugin=path))
    drawn = Dataset.load(tmp_path / "m" / "train" / "view")
    assert drawn.cases[0].label is None and drawn.cases[1].label == partly.cases[1].label


def test_a_method_of_one_stage_lies_and_is_named_as_ever(partly, small, tmp_path):
    train(partly, small(), tmp_path / "m", Setting())
    assert {p.name for p in (tmp_path / "m").iterdir()} == {
        *(
            "checkpoint.safetensors",
            "checkpoint-previous.safetensors",
            "inputs.json",
            "log.jsonl",
            "model.json",
            "model.safetensors",
        )
    }


@pytest.mark.parametrize("patch", [(16, 16), (8, 16, 16)])
def test_probabilities_agree_with_the_prediction(patch, partly, small, tmp_path):
    train(partly, small(patch=patch, batch=2), tmp_path / "m", Setting())
    device = torch.device("cpu")
    method, spec = load_model(tmp_path / "m", device)
    windows, meter, case = (
        predict.windows_of(method, spec, predict.DEFAULT, device),
        Meter(device, Tally()),
        partly.cases[1],
    )
    with torch.inference_mode():
        image = predict.case_image(spec, partly, meter, case)
        soft = predict.case_probabilities(windows, image, case, meter)
        hard = predict.predict_case(windows, image, case, meter)
    assert soft.shape == (4, *case.geometry.shape) and soft.dtype == np.float32
    ties = np.sort(soft, 0)[-1] - np.sort(soft, 0)[-2] < 1e-6
    assert (soft.argmax(0) == hard)[~ties].all() and ties.mean() < 0.01
