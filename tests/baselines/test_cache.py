"""Packs: the same numbers with and without, made by whom it may be, whole or not there."""

import dataclasses
import json
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from tiny import tiny_dataset
from views import hide, weights

from baselines.cache import prepare
from baselines.pack import discard, packed, packs, sweep
from baselines.train import Setting, train
from converters.errors import EnvironmentFault

MADE_OF = {"dataset": "d", "part": "images"}


def arrays():
    rng = np.random.default_rng(0)
    for name, shape in (("a", (1, 2, 3)), ("b", (4, 1, 5)), ("empty", (0, 2, 2))):
        yield name, rng.standard_normal(shape).astype(np.float16)


def test_a_pack_gives_back_what_was_put_in(tmp_path):
    made = packed(tmp_path, MADE_OF, arrays)
    found = packed(tmp_path, MADE_OF, never)
    for name, array in arrays():
        assert np.array_equal(made[name], array) and np.array_equal(found[name], array)
        assert found[name].dtype == np.float16 and not found[name].flags.writeable
    assert list(found) == ["a", "b", "empty"]
    ((folder, index, used),) = packs(tmp_path)
    assert index.made_of == MADE_OF and used > 0
    assert [path.name for path in sorted(folder.iterdir())] == ["arrays.bin", "index.json"]


def never():
    raise AssertionError("it was made already")


def test_what_it_is_made_of_names_it(tmp_path):
    packed(tmp_path, MADE_OF, arrays)
    packed(tmp_path, {**MADE_OF, "part": "targets"}, arrays)
    assert len(list(packs(tmp_path))) == 2


def test_mixed_types_are_no_pack_and_leave_nothing(tmp_path):
    def mixed():
        yield "a", np.zeros(2, np.uint8)
        yield "b", np.zeros(2, np.float16)

    with pytest.raises(ValueError, match="b is float16"):
        packed(tmp_path, MADE_OF, mixed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(70)
@pytest.mark.parametrize("spoil", ["cut", "index", "older"])
def test_a_damaged_pack_or_one_of_another_version_is_made_again(tmp_path, spoil):
    packed(tmp_path, MADE_OF, arrays)
    ((folder, _, _),) = packs(tmp_path)
    if spoil == "cut":
        data = (folder / "arrays.bin").read_bytes()
        (folder / "arrays.bin").write_bytes(data[:-1])
    else:
        text = "{" if spoil == "index" else (folder / "index.json").read_text().replace('"format": 1', '"format": 0')
        (folder / "index.json").write_text(text)
    assert list(packs(tmp_path)) == []
    assert np.array_equal(packed(tmp_path, MADE_OF, arrays)["a"], dict(arrays())["a"])


def make_one(root, queue):
    queue.put(float(packed(root, MADE_OF, arrays)["a"].sum()))


@pytest.mark.fault(87)
def test_many_processes_may_make_one_pack_at_once(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    makers = [context.Process(target=make_one, args=(tmp_path, queue)) for _ in range(6)]
    for maker in makers:
        maker.start()
    sums = {queue.get(timeout=60) for _ in makers}
    for maker in makers:
        maker.join()
    assert sums == {float(dict(arrays())["a"].sum())}
    assert [path.name[0] for path in tmp_path.iterdir()] != ["."] and len(list(tmp_path.iterdir())) == 1


@pytest.mark.fault(53, 87)
@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_is_an_error_that_says_how_to_go_on(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(EnvironmentFault, match="BENCH_CACHE=none"):
        packed(tmp_path / "cache", MADE_OF, arrays)


def test_a_file_in_the_place_of_the_cache_is_an_error(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        packed(tmp_path / "cache", MADE_OF, arrays)


def test_a_pack_that_is_cleared_stays_readable_for_those_who_have_it(tmp_path):
    found = packed(tmp_path, MADE_OF, arrays)
    ((folder, _, _),) = packs(tmp_path)
    discard(folder)
    assert np.array_equal(found["b"], dict(arrays())["b"])
    assert list(tmp_path.iterdir()) == []


def test_what_killed_makers_left_is_swept_when_it_is_old(tmp_path):
    left = tmp_path / f".{32 * 'a'}.b.tmp"
    left.mkdir()
    (left / "arrays.bin").write_bytes(bytes(100))
    assert sweep(tmp_path) == 0 and left.is_dir()
    for path in (left / "arrays.bin", left):
        os.utime(path, (0, 0))
    assert sweep(tmp_path) == 100 and not left.exists()


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


def test_packs_are_listed_and_cleared_from_the_command_line(bench, tmp_path):
    packed(tmp_path, MADE_OF, arrays)
    packed(tmp_path, {"dataset": "e", "part": "images"}, arrays)
    listed = bench("cache", "ls", "--cache", tmp_path, "--json")
    assert {json.loads(line)["dataset"] for line in listed.out.splitlines()} == {"d", "e"}
    assert bench("cache", "clear", "--cache", tmp_path, "--unused", 1).code == 0
    assert bench("cache", "clear", "--cache", tmp_path, "--dataset", "d", "--dry-run").code == 0
    assert len(list(packs(tmp_path))) == 2
    assert "removed 1 packs" in bench("cache", "clear", "--cache", tmp_path, "--dataset", "d").err
    assert [index.made_of["dataset"] for _, index, _ in packs(tmp_path)] == ["e"]
    assert "no cache" in bench("cache", "ls", "--cache", "none").err


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
