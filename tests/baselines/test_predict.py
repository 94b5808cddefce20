"""Prediction: the window leaves no trace, and the label map lies on the image's own grid."""

import pytest
import torch

from baselines.method import Method
from baselines.predict import Setting, predict, sliding_logits
from baselines.train import Setting as Training
from baselines.train import train
from converters.errors import BenchError
from converters.volume import read_label, read_nifti


class Pointwise(Method):
    """Logits that depend on the voxel alone: no window may show."""

    def __init__(self):
        torch.nn.Module.__init__(self)

    def logits(self, image):
        return torch.cat((image, 2 * image, 1 - image), 1)


@pytest.mark.parametrize("patch", [(1, 16, 16), (1, 50, 9), (4, 8, 8), (16, 64, 64)])
@pytest.mark.parametrize("size", [(5, 33, 41), (1, 16, 16), (9, 7, 100)])
def test_overlapping_windows_leave_no_trace(patch, size):
    image = torch.randn(1, *size)
    expected = torch.cat((image, 2 * image, 1 - image))
    torch.testing.assert_close(sliding_logits(Pointwise(), image, patch), expected, atol=1e-5, rtol=1e-5)


def test_every_window_is_covered_by_the_patch_alone():
    seen = []

    class Spy(Pointwise):
        def logits(self, image):
            seen.append(tuple(image.shape[2:]))
            return super().logits(image)

    sliding_logits(Spy(), torch.randn(1, 3, 40, 20), (1, 16, 32))
    assert set(seen) == {(16, 32)}


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
