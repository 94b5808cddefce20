"""Cases with a cache and without: the same numbers, whoever made it, in the memory of a few."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny import tiny_dataset
from views import hide, weights

from baselines.cache import prepare
from baselines.pack import packs
from baselines.train import Setting, train


def test_cases_are_the_same_with_a_pack_and_without(partly, small, tmp_path):
    config = small()
    plain = prepare(partly, config)
    for _ in range(2):
        for a, b in zip(plain, prepare(partly, config, tmp_path), strict=True):
            assert (a.id, a.trusted, a.annotated) == (b.id, b.trusted, b.annotated)
            assert np.array_equal(a.image, b.image) and a.image.dtype == b.image.dtype
            assert np.array_equal(a.target, b.target) and a.target.dtype == b.target.dtype


def test_views_of_the_same_cases_share_their_images_and_never_their_labels(whole, partly, small, tmp_path):
    prepare(whole, small(), tmp_path)
    prepare(partly, small(), tmp_path)
    prepare(hide(whole, whole.subjects[:3]), small(), tmp_path)
    parts = [index.made_of["part"] for _, index, _ in packs(tmp_path)]
    assert {part: parts.count(part) for part in parts} == {"images": 1, "targets": 3, "foreground": 3, "extent": 3}


@pytest.mark.parametrize("change", [{"window": (0.0, 50.0)}, {"patch": (24, 24)}, {"grid": (3.0, 3.0)}])
def test_other_preprocessing_is_another_pack(whole, small, tmp_path, change):
    prepare(whole, small(), tmp_path)
    prepare(whole, small(**change), tmp_path)
    images = [index for _, index, _ in packs(tmp_path) if index.made_of["part"] == "images"]
    assert len(images) == 2


@pytest.mark.fault(74)
@pytest.mark.parametrize("method", ["supervised", "mean_teacher"])
def test_weights_are_the_same_without_a_cache_with_a_cold_one_and_with_a_warm_one(partly, small, tmp_path, method):
    config = small(method=method)
    for name, cache in (("none", None), ("cold", tmp_path / "cache"), ("warm", tmp_path / "cache")):
        train(partly, config, tmp_path / name, Setting(cache=cache))
    assert weights(tmp_path / "none") == weights(tmp_path / "cold") == weights(tmp_path / "warm")


def test_a_pack_with_several_arrays_a_case_is_listed_with_its_number_of_cases(bench, whole, small, tmp_path):
    prepare(whole, small(foreground_by="class"), tmp_path)
    listed = [json.loads(line) for line in bench("cache", "ls", "--cache", tmp_path, "--json").out.splitlines()]
    assert {pack["cases"] for pack in listed} == {len(whole.cases)}
    assert any("structures" in pack["part"] for pack in listed)


def test_by_class_every_structure_of_a_case_is_known_and_regions_hold_all_their_codes(whole, small, tmp_path):
    labels = {"background": 0, "left": 3, "heart": (1, 2, 3), "right": 1}
    view = dataclasses.replace(whole, file=msgspec.structs.replace(whole.file, labels=labels))
    view = hide(view, view.subjects[:2])
    for cache in (None, tmp_path, tmp_path):
        for case in prepare(view, small(foreground_by="class"), cache):
            flat = case.target.ravel()
            expected = [np.flatnonzero(np.isin(flat, codes)) for codes in (1, (1, 2, 3), 3)] if case.annotated else []
            assert [list(found) for found in case.structures] == [list(found) for found in expected]
            assert all(found.dtype == np.uint32 for found in case.structures)
    assert sum("structures" in index.made_of["part"] for _, index, _ in packs(tmp_path)) == 1
    assert all(case.structures == () for case in prepare(view, small(), tmp_path))


def test_another_patch_on_the_same_spacing_is_the_same_pack(whole, small, tmp_path):
    for patch in ((16, 16), (24, 24)):
        prepare(whole, small(patch=patch, grid=(3.0, 3.0)), tmp_path)
    assert len(list(packs(tmp_path))) == 4


RACE = """
import sys
from pathlib import Path
import torch
from baselines.config import NetConfig, TrainConfig
from baselines.predict import Setting as Prediction, predict
from baselines.train import Setting, train
from converters.dataset import Dataset
from converters.files import sha256
root, out = Path(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
net = NetConfig(widths=(4, 8), dropout=(0.1, 0.1))
config = TrainConfig(
    net=net, steps=5, batch=4, patch=(16, 16), grid=(2.0, 2.0), deterministic=True, foreground_by="class"
)
view = Dataset.load(root)
print("ready", flush=True)
sys.stdin.readline()
train(view, config, out, Setting(cache=None if sys.argv[3] == "none" else Path(sys.argv[3])))
predict(out, view, view.cases[:3], out / "predictions", Prediction())
for path in sorted([out / "model.safetensors", out / "log.jsonl", *(out / "predictions").iterdir()]):
    print(path.name, sha256(path.read_bytes()))
"""


@pytest.mark.slow
def test_weights_and_predictions_are_the_same_whoever_made_the_cache(whole, tmp_path):
    """Without one, by two processes that make it at once, and from the warm one."""

    def start(name, cache):
        words = [sys.executable, "-c", RACE, whole.root, tmp_path / name, cache]
        return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def together(*names_caches):
        running = [start(*pair) for pair in names_caches]
        for process in running:
            assert process.stdout.readline() == "ready\n"
        for process in running:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=120)[0] for process in running]
        assert [process.returncode for process in running] == [0] * len(running)
        return told

    cache = tmp_path / "cache"
    seen = [*together(("one", cache), ("other", cache)), *together(("warm", cache), ("none", "none"))]
    assert len(seen[0].splitlines()) == 5
    assert len(set(seen)) == 1
    assert {path.name[0] for path in cache.iterdir()} != {"."} and len(list(packs(cache))) == len(list(cache.iterdir()))


MEMORY = """
import re, sys
from pathlib import Path
import baselines.cache as module
from baselines.cache import prepare
from baselines.config import TrainConfig
from baselines.sampler import Sampler
from converters.dataset import Dataset

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

view = Dataset.load(Path(sys.argv[1]))
view = view.only(view.subjects[: int(sys.argv[2])])
most = 0.0
read = module.read_image
def watched(*args):
    global most
    most = max(most, anonymous())
    return read(*args)
module.read_image = watched
config = TrainConfig(patch=(16, 64, 64), grid=(8.0, 1.5, 1.5), batch=2, foreground_by="class")
before = anonymous()
cases = prepare(view, config, None if sys.argv[3] == "none" else Path(sys.argv[3]))
sampler = Sampler(cases, config, {"labelled": 1}, 0)
for step in range(3 * len(cases)):
    sampler(step)
    most = max(most, anonymous())
print(most - before, sum(c.image.nbytes + c.target.nbytes for c in cases) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="memory is read from /proc")
def test_packing_and_sampling_many_cases_take_the_memory_of_a_few(tmp_path):
    view = tiny_dataset(tmp_path / "data", 32, shape=(128, 128, 24))

    def measured(subjects, cache):
        words = [sys.executable, "-c", MEMORY, view.root, str(subjects), cache]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return tuple(map(float, done.stdout.split()))

    few, little = measured(4, tmp_path / "few")
    many, much = measured(32, tmp_path / "many")
    held, _ = measured(32, "none")
    assert much > 60 and much > 7 * little  # MiB
    assert many - few < 0.1 * much
    assert held - few > 0.5 * much  # what it would be
