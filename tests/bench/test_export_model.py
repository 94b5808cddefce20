"""`bench export-model`, docs/transfer.md: the label maps of the trained model, and a card with the record's scores."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from tiny import tiny_dataset

from baselines import export as exports
from baselines.agreement import MOST
from baselines.config import NetConfig, PredictConfig, TrainConfig
from baselines.model import load_model
from baselines.predict import Setting, predict
from baselines.train import Setting as Training
from baselines.train import train
from bench import splits
from bench.modelcard import About, card
from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from converters.convert import convert
from converters.dataset import Dataset
from converters.phantoms import acdc
from converters.volume import read_label
from leaderboards.summary import summarise

PAGE = Path(__file__).resolve().parents[2] / "docs" / "transfer.md"
QUICK = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=120,
    foreground=0.9,
    batch=4,
    lr=0.05,
    patch=(32, 32),
    grid=(3.0, 3.0),
    precision="bf16",
    deterministic=True,
    threads=1,
)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run on made-up hearts: the data folder, the dataset, the run's folder, its record."""
    room = tmp_path_factory.mktemp("export")
    acdc.write(room / "raw", 6, 0)
    (report,) = convert("acdc", room / "raw", room / "data")
    dataset = Dataset.load(report.root)
    splits.freeze_default(dataset)
    planned = plan(Recipe(dataset=dataset.name, protocol="full", train=QUICK), dataset, room / "runs")
    return room / "data", dataset, planned.folder, run(planned, Place())


@pytest.fixture
def export(ran, bench, tmp_path):
    """Exports the run's model as typed: the outcome, and the folder."""

    def go(to, *flags):
        out = tmp_path / to
        words = ("--to", to, "--data", ran[0], "--device", "cpu", "--json")
        return bench("export-model", ran[2] / "model", out, *words, *flags), out

    return go


def maps(model, dataset, cases, out, precision="trained"):
    predict(model, dataset, cases, out, Setting(config=PredictConfig(precision=precision)))
    return np.concatenate([read_label(out / f"{case.id}.nii.gz").array.ravel() for case in cases])


def front_matter(path):
    text = path.read_text(encoding="utf-8")
    lines = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1].splitlines()
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in lines)}, text


def test_the_layout_of_hugging_face_holds_the_same_weights_and_predicts_the_same(export, ran, tmp_path):
    _, dataset, folder, record = ran
    done, out = export("huggingface", "--dataset", dataset.name)
    assert done.code == 0, done.err
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md", "config.json", "model.safetensors", "parity.json",
    ]  # fmt: skip
    told = json.loads(done.out)
    assert told["parity"]["on"] == dataset.name and told["record"] == record.id()
    assert (out / "model.safetensors").read_bytes() == (folder / "model" / "model.safetensors").read_bytes()
    cases = dataset.only(dataset.split("default").test).cases
    assert np.array_equal(
        maps(out, dataset, cases, tmp_path / "a"), maps(folder / "model", dataset, cases, tmp_path / "b")
    )
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names = {"folder": out, "windows": exports.made_up(2, 1, (32, 32))}
    exec(code, names)
    assert names["logits"].shape == (2, 4, 32, 32)
    config = json.loads((out / "config.json").read_text())
    assert config["id2label"] == {"0": "background", "1": "RV", "2": "MYO", "3": "LV"}


def test_the_card_tells_the_scores_of_the_record_and_that_the_patients_are_made_up(export, ran):
    record = ran[3]
    facts, text = front_matter(export("huggingface")[1] / "README.md")
    (result,) = facts["model-index"][0]["results"]
    assert result["dataset"]["type"] == record.dataset == "phantom-acdc"
    dice = next(name for name in record.cases[0].metrics if name.startswith("dice"))
    expected = round(summarise([record.cases], dice).mean, 4)
    assert result["metrics"][0] == {"type": "dice", "name": "dice, mean", "value": expected}
    assert f"| mean | {expected:.4f} |" in text and record.id()[:12] in text
    assert "made-up patients" in text and "made-up windows" in text
    assert facts["license"] == "other"


def test_hugging_face_reads_the_card(export):
    hub = pytest.importorskip("huggingface_hub", reason="comes with timm")
    out = export("huggingface", "--licence", "apache-2.0")[1]
    card = hub.ModelCard.load(out / "README.md")
    assert card.data.library_name == "frugalseg" and card.data.license == "apache-2.0"
    assert {one.metric_type for one in card.data.eval_results} >= {"dice", "hd95"}
    assert all(one.dataset_name == "phantom-acdc" for one in card.data.eval_results)


def test_a_record_of_other_weights_gives_no_card_and_no_model(export, ran, tmp_path):
    other = msgspec.structs.replace(ran[3], digests=ran[3].digests | {"model": "0" * 64})
    other.save(tmp_path / "other.json")
    done, out = export("huggingface", "--record", tmp_path / "other.json")
    assert done.code == 3 and "of other weights" in done.err and not out.exists()


def test_a_model_without_a_record_has_a_card_without_scores(bench, tmp_path, ran):
    alone = tmp_path / "elsewhere" / "model"
    alone.mkdir(parents=True)
    for path in (ran[2] / "model").glob("*.[js][sa]*"):
        (alone / path.name).write_bytes(path.read_bytes())
    done = bench("export-model", alone, tmp_path / "out", "--to", "huggingface", "--device", "cpu")
    assert done.code == 0, done.err
    facts, text = front_matter(tmp_path / "out" / "README.md")
    assert "model-index" not in facts and "given no record" in text


def test_a_model_that_labels_otherwise_is_not_written(export, ran, monkeypatch):
    monkeypatch.setattr(exports, "MOST", -1.0)
    for flags in ((), ("--dataset", ran[1].name, "--cases", 1)):
        done, out = export("huggingface", *flags)
        assert done.code == 1 and "voxels otherwise" in done.err and not out.exists()


def test_weights_that_were_changed_are_noticed(export, monkeypatch):
    from baselines.exports import huggingface

    before = huggingface.save_weights

    def spoilt(method, draft):
        with torch.no_grad():
            for weight in method.parameters():
                weight.mul_(-1)
        before(method, draft)

    monkeypatch.setattr(huggingface, "save_weights", spoilt)
    done, out = export("huggingface")
    assert done.code == 1 and not out.exists()


def test_strange_layouts_folders_and_configs_are_refused(export, bench, tmp_path):
    done, out = export("tensorflow")
    assert done.code == 2 and "no layout 'tensorflow'" in done.err and not out.exists()
    (tmp_path / "empty").mkdir()
    done = bench("export-model", tmp_path / "empty", tmp_path / "x", "--to", "huggingface")
    assert done.code == 3 and "no model.safetensors here" in done.err
    there = export("huggingface")[1]
    (there / "config.json").write_text('{"model_type": "bert"}')
    done = bench("predict", there, "--dataset", "x", "--out", tmp_path / "y", "--data", tmp_path)
    assert done.code in (2, 3)
    with pytest.raises(ValueError, match=r"config\.json"):
        load_model(there, torch.device("cpu"))


def needs_onnx():
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra [onnx]")


@pytest.fixture(scope="module")
def graph(ran, tmp_path_factory):
    """The run's model as ONNX, held against the phantom test set on the way."""
    needs_onnx()
    _, dataset, folder, record = ran
    grounds = exports.Grounds(dataset, dataset.only(dataset.split("default").test).cases)
    out = tmp_path_factory.mktemp("graph") / "onnx"
    exports.export(folder / "model", out, exports.Asked("onnx", Setting(), partial(card, About(record)), grounds))
    return out


def test_the_onnx_model_labels_the_phantom_test_set_as_torch_does(graph, ran, tmp_path):
    _, dataset, folder, _ = ran
    assert sorted(path.name for path in graph.iterdir()) == [
        "README.md", "inputs.json", "model.json", "model.onnx", "parity.json",
    ]  # fmt: skip
    cases = dataset.only(dataset.split("default").test).cases
    ours = maps(folder / "model", dataset, cases, tmp_path / "torch", "fp32")
    theirs = maps(graph, dataset, cases, tmp_path / "onnx")
    parity = json.loads((graph / "parity.json").read_text())
    assert (parity["voxels"], parity["differ"]) == (ours.size, int((ours != theirs).sum()))
    assert (ours != theirs).mean() <= MOST and len(np.unique(theirs)) > 1


def test_an_onnx_graph_names_no_place_on_this_machine_and_takes_any_number_of_windows(graph):
    data = (graph / "model.onnx").read_bytes()
    assert b"site-packages" not in data and b"baselines/" not in data
    method, spec = load_model(graph, torch.device("cpu"))
    assert spec.config.precision == "fp32"
    windows = exports.made_up(3, 1, (32, 32))
    each = torch.cat([method.logits(window[None]) for window in windows])
    assert torch.allclose(method.logits(windows), each, atol=1e-5) and each.shape == (3, 4, 32, 32)


def test_an_exported_graph_predicts_files_of_no_dataset_and_says_what_is_unknown(graph, ran, bench, tmp_path):
    _, dataset, _, _ = ran
    case = dataset.only(dataset.split("default").test).cases[0]
    file = dataset.path(case.images["cine"].file)
    done = bench("predict", graph, file, "--out", tmp_path / "out", "--device", "cpu", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)["cost"]
    assert (told["precision"], told.get("macs")) == ("fp32", None)
    maps(graph, dataset, [case], tmp_path / "expected")
    made, expected = (
        read_label(path) for path in (tmp_path / "out" / file.name, tmp_path / "expected" / f"{case.id}.nii.gz")
    )
    assert np.array_equal(made.array, expected.array)


def test_a_damaged_graph_is_refused(graph, tmp_path):
    damaged = shutil.copytree(graph, tmp_path / "damaged")
    (damaged / "model.onnx").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match=r"model\.onnx cannot be run"):
        load_model(damaged, torch.device("cpu"))


@pytest.mark.parametrize("place", ["../weights.bin", "{there}/weights.bin"])
def test_a_graph_with_weights_outside_of_its_folder_is_refused(place, graph, tmp_path):
    onnx = pytest.importorskip("onnx", reason="needs the extra [onnx]")
    hostile = shutil.copytree(graph, tmp_path / "hostile")
    made = onnx.load(hostile / "model.onnx")
    weights = next(each for each in made.graph.initializer if each.raw_data)
    (tmp_path / "weights.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=place.format(there=tmp_path))
    (hostile / "model.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=r"model\.onnx cannot be run"):
        load_model(hostile, torch.device("cpu"))


def test_a_method_with_a_teacher_and_a_network_of_volumes_has_a_graph(bench, tmp_path):
    needs_onnx()
    dataset = tiny_dataset(tmp_path / "tiny", 2, shape=(24, 20, 8))
    changes = {"steps": 2, "patch": (8, 16, 16), "grid": (8.0, 1.5, 1.5), "method": "mean_teacher", "precision": "fp32"}
    train(dataset, msgspec.structs.replace(QUICK, **changes), tmp_path / "model", Training())
    done = bench("export-model", tmp_path / "model", tmp_path / "out", "--to", "onnx", "--device", "cpu", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["parity"]["voxels"] == 8 * 8 * 16 * 16


def test_without_the_extra_the_way_to_it_is_told(export, monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None)
    done, out = export("onnx")
    assert done.code == 4 and "frugalseg[onnx]" in done.err and not out.exists()
