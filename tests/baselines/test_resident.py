"""Cases that live on a device: the same batches as from the host, bit for bit."""

import dataclasses

import numpy as np
import pytest
import torch
from views import weights

from baselines import feed as feeding
from baselines import resident
from baselines.cache import Prepared, foreground
from baselines.config import TrainConfig
from baselines.feed import feed
from baselines.pack import packed
from baselines.resident import Resident, fits, size
from baselines.sampler import Sampler
from baselines.train import Setting, train
from converters.dataset import IGNORE

CPU = torch.device("cpu")
BOTH = {"labelled": 1, "unlabelled": 1}


def case(seed, shape, channels, kind):
    rng = np.random.default_rng(seed)
    target = rng.integers(0, 4, shape).astype(np.uint8)
    if kind == "none":
        target[:] = IGNORE
    elif kind == "strokes":
        target[rng.random(shape) < 0.98] = IGNORE
    elif kind == "slices":
        target[1:] = IGNORE
    image = rng.normal(size=(channels, *shape)).astype(np.float16)
    return Prepared(f"c{seed}", image, target, foreground(target), trusted=kind == "all")


def cases(channels=1):
    """Smaller and larger than the patches below, odd and even, annotated in full, in parts and not at all."""
    shapes = [(5, 9, 31), (12, 40, 23), (3, 16, 16), (9, 8, 9), (7, 21, 64), (8, 30, 30)]
    kinds = ["all", "strokes", "none", "slices", "none", "all"]
    return [case(k, shape, channels, kind) for k, (shape, kind) in enumerate(zip(shapes, kinds, strict=True))]


def same(a, b):
    for field in dataclasses.fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if isinstance(one, torch.Tensor):
            assert one.dtype == other.dtype and torch.equal(one.cpu(), other.cpu()), field.name
        else:
            assert one == other, field.name


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("by", ["voxel", "class"])
@pytest.mark.parametrize("patch", [(16, 16), (24, 9), (8, 16, 16), (9, 8, 40)])
def test_batches_are_the_same_from_the_device_and_from_the_host(monkeypatch, patch, by, channels):
    config = TrainConfig(batch=7, patch=patch, grid=(1.0,) * len(patch), foreground=0.5, foreground_by=by)
    sampler = Sampler(cases(channels), config, BOTH, 3)
    host = feed(sampler, range(2, 14), CPU)
    assert host.kind == "host"
    monkeypatch.setattr(feeding, "fits", lambda *_: True)
    there = feed(sampler, range(2, 14), CPU)
    assert there.kind == "gpu"
    seen = 0
    for a, b in zip(host, there, strict=True):
        same(a, b)
        seen += (a.target == IGNORE).any().item()
    assert seen  # padding and voxels nobody annotated were among them


def test_it_takes_the_memory_it_says_and_copies_packs_that_cannot_be_written(tmp_path):
    made = cases(2)
    images = packed(tmp_path, {"dataset": "d", "part": "images"}, lambda: ((c.id, c.image) for c in made))
    mapped = [dataclasses.replace(c, image=images[c.id]) for c in made]
    there = Resident(mapped, (16, 16), CPU)
    parts = [*there.images, *there.targets]
    assert sum(part.nbytes for part in parts) == size(mapped, (16, 16))
    assert {part.untyped_storage().data_ptr() for part in parts} == {
        there.images[0].data_ptr(),
        there.targets[0].data_ptr(),
    }
    there.images[1].zero_()
    assert mapped[1].image.any()


@pytest.mark.parametrize(("room", "answer"), [(1.99, False), (2.0, True)])
def test_cases_live_on_a_gpu_where_they_take_half_of_what_is_free(monkeypatch, room, answer):
    made = cases()
    free = int(room * size(made, (16, 16)))
    monkeypatch.setattr(resident.torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    assert fits(made, (16, 16), torch.device("cuda")) is answer
    assert not fits(made, (16, 16), CPU)


def test_a_training_ends_in_the_same_weights_wherever_its_cases_live(monkeypatch, partly, small, tmp_path):
    config = small(method="mean_teacher", grid=(1.0, 1.0))
    train(partly, config, tmp_path / "host", Setting())
    monkeypatch.setattr(feeding, "fits", lambda *_: True)
    train(partly, config, tmp_path / "there", Setting())
    assert weights(tmp_path / "host") == weights(tmp_path / "there")
    assert (tmp_path / "host" / "log.jsonl").read_bytes() == (tmp_path / "there" / "log.jsonl").read_bytes()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_batches_are_gathered_there_and_are_those_of_the_host():
    device = torch.device("cuda")
    config = TrainConfig(batch=7, patch=(8, 16, 16), grid=(1.0, 1.0, 1.0))
    sampler = Sampler(cases(), config, BOTH, 3)
    there = feed(sampler, range(6), device)
    assert there.kind == "gpu"
    for a, b in zip(feed(sampler, range(6), CPU), there, strict=True):
        assert b.image.is_cuda and b.case.is_cuda
        same(a, b)
