"""Windows: they leave no trace, and no result depends on how many are computed at once."""

import pytest
import torch

from baselines.config import PredictConfig
from baselines.grid import resample
from baselines.method import Method
from baselines.windows import PASS, Windows, labels_at, pass_of
from converters.errors import BenchError, EnvironmentFault

FLAT, DEEP = (1, 16, 12), (4, 16, 12)
MIRROR = PredictConfig(mirror=True)


class Toy(Method):
    """A method without weights that remembers the shapes it was given."""

    def __init__(self, most=1000):
        torch.nn.Module.__init__(self)
        self.most, self.seen = most, []

    def logits(self, image):
        if len(image) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.seen.append(tuple(image.shape))
        return self.values(image)


class Pointwise(Toy):
    """Logits that depend on the voxel alone: no window may show."""

    def values(self, image):
        return torch.cat((image, 2 * image, 1 - image), 1)


class Lopsided(Toy):
    """Logits that depend on the place in the window and on one neighbour along each axis."""

    def values(self, image):
        axes = range(2, image.ndim)
        ramp = sum(torch.linspace(0, 1, image.shape[a]).view([-1 if a == b else 1 for b in axes]) for a in axes)
        rolled = sum(image.roll(1, a) for a in axes)
        return torch.cat((image * ramp, rolled, image - ramp), 1)


def sliding(method, image, patch, batch=16, config=PredictConfig(), **more):  # noqa: B008  (frozen)
    return torch.cat(list(Windows(method, patch, config, batch, **more).logits(image)), 1)


@pytest.mark.parametrize("patch", [(1, 16, 16), (1, 50, 9), (4, 8, 8), (16, 64, 64)])
@pytest.mark.parametrize("size", [(5, 33, 41), (1, 16, 16), (9, 7, 100)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_overlapping_windows_leave_no_trace(patch, size, overlap):
    image = torch.randn(1, *size)
    expected = torch.cat((image, 2 * image, 1 - image))
    found = sliding(Pointwise(), image, patch, config=PredictConfig(overlap=overlap))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_every_window_is_covered_by_the_patch_alone():
    method = Pointwise()
    sliding(method, torch.randn(1, 3, 40, 20), (1, 16, 32))
    assert {shape[2:] for shape in method.seen} == {(16, 32)}


@pytest.mark.parametrize(("overlap", "windows"), [(0.0, 2), (0.5, 3), (0.75, 5)])
def test_overlap_decides_how_many_windows_there_are(overlap, windows):
    method = Pointwise()
    sliding(method, torch.randn(1, 1, 32, 12), FLAT, 1, PredictConfig(overlap=overlap))
    assert len(method.seen) == windows


@pytest.mark.parametrize("patch", [FLAT, DEEP])
@pytest.mark.parametrize("config", [PredictConfig(), MIRROR])
@pytest.mark.parametrize("filled", [False, True])
def test_results_do_not_depend_on_how_many_windows_are_computed_at_once(patch, config, filled):
    image = torch.randn(1, 9, 30, 29)
    at_once = sliding(Lopsided(), image, patch, 1000, config)
    for batch in (1, 4, 7):
        assert torch.equal(sliding(Lopsided(), image, patch, batch, config, filled=filled), at_once)


def test_a_2d_network_is_given_whole_slices_and_a_3d_one_everything():
    image = torch.randn(1, 9, 16, 18)  # two windows a slice
    assert [slab.shape[1] for slab in Windows(Pointwise(), FLAT, batch=8).logits(image)] == [4, 4, 1]
    assert [slab.shape[1] for slab in Windows(Pointwise(), FLAT, batch=1).logits(image)] == [1] * 9
    assert [slab.shape[1] for slab in Windows(Pointwise(), DEEP, batch=8).logits(image)] == [9]


@pytest.mark.parametrize(("filled", "sizes"), [(False, [4, 4, 1]), (True, [4, 4, 4])])
def test_the_last_pass_is_filled_where_one_shape_is_compiled(filled, sizes):
    method = Pointwise()
    sliding(method, torch.randn(1, 9, 16, 12), FLAT, 4, filled=filled)
    assert [shape[0] for shape in method.seen] == sizes


@pytest.mark.parametrize("patch", [FLAT, DEEP])
def test_where_memory_is_short_fewer_windows_are_computed_at_once(patch):
    image = torch.randn(1, 9, 30, 29)
    windows = Windows(Lopsided(most=3), patch, batch=16)
    found = torch.cat(list(windows.logits(image)), 1)
    assert windows.batch == 2
    assert torch.equal(found, sliding(Lopsided(), image, patch, 16))


def test_one_window_that_does_not_fit_is_a_fault_that_says_so():
    with pytest.raises(EnvironmentFault, match=r"window of \[1, 16, 12\] voxels does not fit"):
        sliding(Pointwise(most=0), torch.randn(1, 2, 16, 12), FLAT)


def test_another_error_of_a_network_is_not_taken_for_short_memory():
    class Broken(Toy):
        def values(self, image):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        sliding(Broken(), torch.randn(1, 2, 16, 12), FLAT)


@pytest.mark.parametrize("patch", [FLAT, DEEP])
@pytest.mark.parametrize("axes", [(-1,), (-2,), (-2, -1)])
def test_the_mirror_image_is_predicted_as_the_mirrored_prediction(patch, axes):
    image = torch.randn(1, 4, 16, 12)
    for config, alike in ((MIRROR, True), (PredictConfig(), False)):
        there = sliding(Lopsided(), image, patch, config=config)
        back = sliding(Lopsided(), image.flip(axes), patch, config=config).flip(axes)
        assert torch.allclose(there, back, atol=1e-6) == alike


@pytest.mark.parametrize("patch", [FLAT, DEEP])
def test_mirroring_is_the_mean_over_the_axes_of_a_slice(patch):
    image = torch.randn(1, 4, 16, 12)
    axes = [(), (-1,), (-2,), (-2, -1)]
    single = [sliding(Lopsided(), image.flip(each), patch).flip(each) for each in axes]
    torch.testing.assert_close(sliding(Lopsided(), image, patch, config=MIRROR), sum(single) / 4)


@pytest.mark.parametrize("size", [(6, 10, 11), (6, 20, 31), (9, 7, 11), (3, 10, 5)])
def test_labels_are_those_of_all_classes_resampled_at_once(size):
    logits = torch.randn(5, 6, 10, 11).round(decimals=1)  # of equal logits the first counts
    expected = resample(logits, size).argmax(0)
    found = labels_at(logits, size)
    assert found.dtype == torch.uint8
    assert torch.equal(found.long(), expected)


def test_a_pass_holds_about_as_many_voxels_whatever_the_patch():
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert pass_of((1, 256, 256), cpu) * 256 * 256 == PASS["cpu"]
    assert pass_of((1, 64, 64), cpu) * 64 * 64 == PASS["cpu"]
    assert pass_of((128, 128, 128), cpu) == 1
    assert pass_of((128, 128, 128), gpu) > 1


def test_a_share_of_overlap_that_never_ends_is_refused():
    with pytest.raises(BenchError, match="overlap"):
        PredictConfig(overlap=1.0)
