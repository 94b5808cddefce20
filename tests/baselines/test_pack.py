"""Packs under bad luck: damaged, cleared at the wrong moment, a disk that is full, a maker that is killed."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from baselines import pack
from baselines.pack import discard, packed, packs, sweep
from converters.errors import BenchError, EnvironmentFault

MADE_OF = {"dataset": "d", "part": "images"}
OLD = "." + 32 * "a" + ".x.tmp"


def arrays():
    for k in range(4):
        yield f"c{k}", np.full((3, 5), k, np.float16)


def never():
    raise AssertionError("it was made already")


def right(found):
    return all(np.array_equal(found[name], array) for name, array in arrays()) and len(found) == 4


def folder_of(root):
    ((folder, _, _),) = packs(root)
    return folder


def age(folder):
    for path in (*folder.iterdir(), folder):
        os.utime(path, (0, 0))


@pytest.mark.parametrize(
    "change",
    [
        {"bytes": 1},
        {"dtype": "float23"},
        {"dtype": "float64"},
        {"made_of": {"dataset": "e"}},
        {"entries": [{"name": "c0", "offset": 1 << 40, "shape": [3, 5]}]},
        {"entries": [{"name": "c0", "offset": -8, "shape": [3, 5]}]},
        {"entries": [{"name": "c0", "offset": 0, "shape": [3000, 5]}]},
        {"entries": None},
    ],
    ids=lambda change: " ".join(f"{key}" for key in change),
)
def test_an_index_that_does_not_fit_its_data_is_no_pack(tmp_path, change):
    packed(tmp_path, MADE_OF, arrays)
    index = folder_of(tmp_path) / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), **change}))
    assert list(packs(tmp_path)) == []
    assert right(packed(tmp_path, MADE_OF, arrays)) and right(packed(tmp_path, MADE_OF, never))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.fault(70)
@pytest.mark.parametrize("lost", ["arrays.bin", "index.json"])
def test_half_a_pack_is_made_again(tmp_path, lost):
    packed(tmp_path, MADE_OF, arrays)
    (folder_of(tmp_path) / lost).unlink()
    assert right(packed(tmp_path, MADE_OF, arrays)) and right(packed(tmp_path, MADE_OF, never))


def test_cases_in_which_nothing_is_annotated_are_a_pack_without_a_byte(tmp_path):
    for make in (lambda: iter([("a", np.empty(0, np.uint32)), ("b", np.empty((2, 0), np.uint32))]), never):
        found = packed(tmp_path, MADE_OF, make)
        assert [(name, array.shape, array.dtype) for name, array in found.items()] == [
            ("a", (0,), np.uint32),
            ("b", (2, 0), np.uint32),
        ]


def test_a_pack_cleared_while_it_is_opened_is_made_again(tmp_path, monkeypatch):
    packed(tmp_path, MADE_OF, arrays)
    found = pack._index

    def cleared_after(folder):
        index = found(folder)
        monkeypatch.setattr(pack, "_index", found)
        discard(folder)
        return index

    monkeypatch.setattr(pack, "_index", cleared_after)
    assert right(packed(tmp_path, MADE_OF, arrays))
    assert right(packed(tmp_path, MADE_OF, never))


def test_a_pack_cleared_the_moment_it_is_there_serves_its_maker(tmp_path, monkeypatch):
    rename = pack.Path.rename

    def and_gone(self, target):
        done = rename(self, target)
        if self.name.endswith(".tmp"):
            monkeypatch.setattr(pack.Path, "rename", rename)
            discard(target)
        return done

    monkeypatch.setattr(pack.Path, "rename", and_gone)
    assert right(packed(tmp_path, MADE_OF, arrays))
    assert list(tmp_path.iterdir()) == []


def test_the_slower_of_two_makers_takes_the_pack_of_the_faster(tmp_path):
    def overtaken():
        yield from arrays()
        assert right(packed(tmp_path, MADE_OF, arrays))

    assert right(packed(tmp_path, MADE_OF, overtaken))
    assert len(list(tmp_path.iterdir())) == 1


def test_one_pack_may_be_cleared_twice_at_once(tmp_path):
    packed(tmp_path, MADE_OF, arrays)
    folder = folder_of(tmp_path)
    discard(folder)
    discard(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_pack_that_is_being_made_is_neither_listed_nor_cleared(tmp_path, bench):
    def interrupted():
        yield from arrays()
        assert list(packs(tmp_path)) == []
        assert bench("cache", "clear", "--cache", tmp_path).code == 0

    assert right(packed(tmp_path, MADE_OF, interrupted)) and right(packed(tmp_path, MADE_OF, never))


def test_a_draft_that_is_whole_but_not_in_place_is_no_pack(tmp_path):
    packed(tmp_path, MADE_OF, arrays)
    folder = folder_of(tmp_path)
    folder.rename(tmp_path / f".{folder.name}.x.tmp")
    assert list(packs(tmp_path)) == []


def test_a_case_that_cannot_be_read_is_not_taken_for_a_cache_that_cannot_be_written(tmp_path):
    def broken():
        yield from arrays()
        raise OSError(5, "Input/output error", "case7.nii.gz")

    for root in (tmp_path / "cache", None):
        with pytest.raises(BenchError, match="a case cannot be read: Input/output error") as told:
            packed(root, MADE_OF, broken)
        assert not isinstance(told.value, EnvironmentFault)
    assert list((tmp_path / "cache").iterdir()) == []


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from baselines.pack import packed
from converters.errors import EnvironmentFault
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    packed(Path(sys.argv[1]), {"dataset": "d"}, lambda: ((f"c{k}", np.zeros(1 << 18, np.uint8)) for k in range(8)))
except EnvironmentFault as fault:
    print(fault)
"""


@pytest.mark.fault(71)
def test_a_disk_that_is_full_half_way_is_told_and_left_clean(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True)
    assert "the cache cannot be written: File too large" in done.stdout and "BENCH_CACHE=none" in done.stdout
    assert list(tmp_path.iterdir()) == []


KILLED = """
import sys, time
from pathlib import Path
import numpy as np
from baselines.pack import packed
def slow():
    yield "c0", np.zeros(1 << 18, np.uint8)
    print("half", flush=True)
    time.sleep(600)
packed(Path(sys.argv[1]), {"dataset": "d", "part": "images"}, slow)
"""


@pytest.mark.fault(70, 87)
def test_a_maker_that_is_killed_leaves_nothing_that_is_taken_for_a_pack(tmp_path):
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout.readline() == "half\n"
        maker.send_signal(signal.SIGKILL)
    (left,) = tmp_path.iterdir()
    assert list(packs(tmp_path)) == []
    assert right(packed(tmp_path, MADE_OF, arrays))
    assert left.is_dir()  # somebody may be at work there
    age(left)
    packed(tmp_path, {"dataset": "e"}, arrays)  # who makes the next pack clears up
    assert not left.exists() and len(list(packs(tmp_path))) == 2


def test_a_draft_stays_while_it_grows_and_packs_of_other_versions_go(tmp_path):
    packed(tmp_path, MADE_OF, arrays)
    folder = folder_of(tmp_path)
    draft = tmp_path / OLD
    draft.mkdir()
    (draft / "arrays.bin").write_bytes(bytes(100))
    os.utime(draft, (0, 0))  # a folder's time stands still while its files grow
    age(folder)
    assert sweep(tmp_path) == 0 and draft.is_dir() and folder.is_dir()  # old, but whole
    (folder / "index.json").write_text("{}")
    assert sweep(tmp_path) == 0
    age(folder)
    assert sweep(tmp_path) > 0 and not folder.exists()


def test_what_is_not_a_packs_is_never_swept(tmp_path):
    for name in (".abc.tmp", "notes", ".config.tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "arrays.bin").write_bytes(b"mine")
        age(tmp_path / name)
    (tmp_path / OLD).write_text("a file")
    os.utime(tmp_path / OLD, (0, 0))
    assert sweep(tmp_path) == 0 and len(list(tmp_path.iterdir())) == 4
