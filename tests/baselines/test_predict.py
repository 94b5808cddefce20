"""Prediction: the label map lies on the image's own grid, whatever was asked for."""

import numpy as np
import pytest
import torch

from baselines.cache import prepare, read_image
from baselines.config import PredictConfig
from baselines.grid import faced, normalise, to_case
from baselines.inputs import read_inputs
from baselines.model import load_model
from baselines.predict import Setting, predict
from baselines.train import Setting as Training
from baselines.train import train
from baselines.windows import Windows, pass_of
from converters.errors import BenchError
from converters.volume import read_label, read_nifti


@pytest.fixture
def model(whole, small, tmp_path):
    train(whole, small(), tmp_path / "model", Training())
    return tmp_path / "model"


@pytest.mark.parametrize("grid", ["resize", (3.0, 3.0)])
def test_label_maps_lie_on_the_grid_of_the_image(grid, whole, small, tmp_path):
    train(whole, small(grid=grid), tmp_path / "model", Training())
    cost = predict(tmp_path / "model", whole, whole.cases[:2], tmp_path / "out", Setting())
    assert cost.items == 2
    for case in whole.cases[:2]:
        made = read_label(tmp_path / "out" / f"{case.id}.nii.gz")
        assert made.same_grid(read_nifti(whole.path(case.images["cine"].file)))
        assert made.array.max() < whole.classes
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["s00-ed.nii.gz", "s00-es.nii.gz"]


@pytest.mark.parametrize("patch", [(16, 16), (8, 16, 16)])
def test_slices_in_another_plane_are_learnt_and_come_back_on_the_grid_of_the_image(patch, whole, small, tmp_path):
    config = small(patch=patch, plane="sagittal", grid="native")
    case, seen = whole.cases[0], faced(whole.cases[0], config)
    image = normalise(read_image(whole, seen), None)
    assert image.shape[1] == case.geometry.shape[0]
    assert np.array_equal(prepare(whole, config)[0].image, image.numpy().astype(np.float16))
    assert not np.array_equal(prepare(whole, small(patch=patch, grid="native"))[0].image, image)
    train(whole, config, tmp_path / "model", Training())
    assert read_inputs(tmp_path / "model").slice_axis is None  # any will do
    predict(tmp_path / "model", whole, [case], tmp_path / "out", Setting())
    method, _ = load_model(tmp_path / "model", torch.device("cpu"))
    with torch.inference_mode():
        logits = torch.cat(list(Windows(method, (1, *patch)[-3:], PredictConfig(), 64).logits(image)), 1)
    made = read_label(tmp_path / "out" / f"{case.id}.nii.gz")
    assert made.same_grid(read_nifti(whole.path(case.images["cine"].file)))
    assert np.array_equal(made.array, to_case(logits.argmax(0).to(torch.uint8).numpy(), seen.geometry))


def test_prediction_reads_no_label(model, whole, tmp_path):
    import shutil

    copy = shutil.copytree(whole.root, tmp_path / "copy")
    bare = type(whole).load(copy)
    shutil.rmtree(copy / "labelsTr")
    predict(model, bare, bare.cases[:1], tmp_path / "without", Setting())
    predict(model, whole, whole.cases[:1], tmp_path / "with", Setting())
    a, b = ((tmp_path / name / "s00-ed.nii.gz").read_bytes() for name in ("with", "without"))
    assert a == b


def test_an_image_that_is_not_the_one_described_is_refused(model, whole, tmp_path):
    import shutil

    copy = type(whole).load(shutil.copytree(whole.root, tmp_path / "copy"))
    shutil.copy(copy.root / "imagesTr/s01-ed_0000.nii.gz", copy.root / "imagesTr/s00-ed_0000.nii.gz")
    with pytest.raises(BenchError, match="not the one its sidecar describes"):
        predict(model, copy, copy.cases[:1], tmp_path / "out", Setting())


def test_damaged_weights_are_refused(model, whole, tmp_path):
    (model / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(BenchError, match="do not fit"):
        predict(model, whole, whole.cases[:1], tmp_path / "out", Setting())


def test_a_dataset_with_other_channels_is_refused(model, whole, tmp_path):
    import dataclasses

    import msgspec

    card = msgspec.structs.replace(whole.file.bench, channels=whole.file.bench.channels * 2)
    other = dataclasses.replace(whole, file=msgspec.structs.replace(whole.file, bench=card))
    with pytest.raises(BenchError, match="reads channels"):
        predict(model, other, other.cases[:1], tmp_path / "out", Setting())


def maps(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_network_trained_in_bf16_can_be_run_in_fp32(whole, small, tmp_path):
    train(whole, small(precision="bf16"), tmp_path / "model", Training())
    card = tmp_path / "model" / "model.json"
    setting = Setting(config=PredictConfig(precision="fp32"))
    cost = predict(tmp_path / "model", whole, whole.cases[:2], tmp_path / "asked", setting)
    assert cost.precision == "fp32"
    assert predict(tmp_path / "model", whole, whole.cases[:1], tmp_path / "as trained", Setting()).precision == "bf16"
    card.write_text(card.read_text().replace("bf16", "fp32"))
    predict(tmp_path / "model", whole, whole.cases[:2], tmp_path / "fp32", Setting())
    assert maps(tmp_path / "asked") == maps(tmp_path / "fp32")


@pytest.mark.parametrize("config", [PredictConfig(mirror=True), PredictConfig(overlap=0.2), PredictConfig()])
@pytest.mark.parametrize("patch", [(16, 16), (8, 16, 16)])
def test_label_maps_are_those_of_the_windows_asked_for(config, patch, whole, small, tmp_path):
    spacing = (8.0, 1.5, 1.5)[-len(patch) :]
    train(whole, small(patch=patch, grid=spacing), tmp_path / "model", Training())
    predict(tmp_path / "model", whole, whole.cases[:1], tmp_path / "out", Setting(config=config))
    method, _ = load_model(tmp_path / "model", torch.device("cpu"))
    image = normalise(read_image(whole, whole.cases[0]), None)
    with torch.inference_mode():
        edges = (1, *patch)[-3:]
        logits = torch.cat(list(Windows(method, edges, config, 64).logits(image)), 1)
    made = read_label(tmp_path / "out" / "s00-ed.nii.gz").array
    assert np.array_equal(made, to_case(logits.argmax(0).to(torch.uint8).numpy(), whole.cases[0].geometry))


def test_the_cost_tells_stages_voxels_and_multiplications(model, whole, tmp_path):
    cost = predict(model, whole, whole.cases[:2], tmp_path / "out", Setting())
    assert set(cost.stages_s) == {"read", "preprocess", "forward", "postprocess", "write"}
    assert cost.batch == pass_of((1, 16, 16), torch.device("cpu"))
    assert cost.macs > 16 * 16 * 4 * 9  # more than the first convolution
    voxels = sum(np.prod(case.geometry.shape) for case in whole.cases[:2])
    assert cost.voxels_per_s / cost.items_per_s == pytest.approx(voxels / 2, rel=0.01)


def test_a_label_map_that_cannot_be_written_is_an_error(model, whole, tmp_path):
    (tmp_path / "out").write_text("a file where the folder should be")
    with pytest.raises(OSError, match="out"):
        predict(model, whole, whole.cases[:2], tmp_path / "out", Setting())
