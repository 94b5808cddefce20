"""Packs of a cache: made by whom it may be, whole or not there, listed and cleared."""

import json
import multiprocessing
import os

import numpy as np
import pytest

from baselines.pack import discard, packed, packs, sweep
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
