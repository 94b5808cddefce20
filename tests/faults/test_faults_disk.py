"""A disk that fails in any operation, once or for good: old or new, never half, and the same command completes it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from acdc_tree import acdc_tree
from contents import tree
from fault_fs import every, faulty
from outcomes import core
from test_faults_checkpoint import OTHER, saved, state, trained
from tiny import tiny_dataset

from baselines.checkpoint import CHECKPOINT, load_checkpoint
from baselines.config import NetConfig, TrainConfig
from baselines.log import Log
from baselines.pack import packed
from bench.plan import Plan, plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.splits import freeze_default
from converters.check import check
from converters.convert import convert
from converters.errors import EnvironmentFault
from converters.export import whole
from converters.files import write_json
from converters.lock import locked
from leaderboards.record import Record


def temporaries(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.name.endswith(".tmp") or path.name == "lock.json"]


@pytest.mark.fault(70)
@pytest.mark.parametrize("before", [None, b'{"of": "before"}'])
def test_a_file_is_the_old_one_or_the_new_one(tmp_path: Path, before: bytes | None) -> None:
    file, value = tmp_path / "deep" / "record.json", {"of": "after" * 9999}

    def put_back() -> None:
        shutil.rmtree(tmp_path / "deep", ignore_errors=True)
        if before is not None:
            file.parent.mkdir()
            file.write_bytes(before)

    put_back()
    tried = set()
    for number, _, attempt in every(tmp_path, lambda: write_json(file, value)):
        put_back()
        tried |= {attempt().done[number - 1].split()[0]}
        found = file.read_bytes() if file.is_file() else None
        assert found == before or (found is not None and len(found) > 9999 and found.endswith(b"}\n"))
        assert temporaries(tmp_path) == []
        write_json(file, value)
    assert tried >= {"open", "write", "fsync", "replace"}


@pytest.mark.fault(70)
def test_of_two_checkpoints_one_is_always_whole(tmp_path: Path) -> None:
    saved(tmp_path / "before", 1, 2)
    shutil.copytree(tmp_path / "before", tmp_path / "m")
    for _, _, attempt in every(tmp_path / "m", lambda: saved(tmp_path / "m", 3)):
        shutil.rmtree(tmp_path / "m")
        shutil.copytree(tmp_path / "before", tmp_path / "m")
        attempt()
        assert temporaries(tmp_path / "m") == []
        method, optimizer = trained(0)
        step = load_checkpoint(tmp_path / "m" / CHECKPOINT, method, optimizer, "r").step
        assert step in (2, 3) and state(method, optimizer) == state(*trained(step))
        assert load_checkpoint(saved(tmp_path / "m", 3), *trained(0), "r").step == 3
        assert load_checkpoint(tmp_path / "m" / OTHER, *trained(0), "r").step in (2, 3)


@pytest.mark.fault(70, 87)
def test_a_pack_is_whole_or_not_there(tmp_path: Path) -> None:
    root = tmp_path / "cache"

    def arrays() -> Iterator[tuple[str, np.ndarray]]:
        for number in range(3):
            yield str(number), np.full((5, 7), number, np.uint8)

    def make() -> None:
        found = packed(root, {"of": "this"}, arrays)
        assert [int(found[str(number)].max()) for number in range(3)] == [0, 1, 2]

    for _, _, attempt in every(root, make):
        shutil.rmtree(root, ignore_errors=True)
        attempt()
        assert temporaries(root) == []
        make()
    assert [path.name[0] for path in root.iterdir()] != ["."]


@pytest.mark.fault(70)
def test_a_log_loses_no_line_of_a_step_that_will_not_be_taken_again(tmp_path: Path) -> None:
    import torch

    log, terms = tmp_path / "log.jsonl", {"dice": torch.tensor(0.5)}
    lines = [b'{"step":0,"dice":1.0}\n', b'{"step":10,"dice":0.9}\n', b'{"step":20,"dice":0.8}\n']

    def go_on() -> None:
        with Log(log, 20, ["a"], later=False) as opened:
            opened.see(20, terms, torch.tensor([0]), line=True)

    log.write_bytes(b"".join(lines))
    for _, _, attempt in every(tmp_path, go_on):
        log.write_bytes(b"".join(lines))
        attempt()
        assert log.read_bytes().startswith(b"".join(lines[:2]))
        go_on()
        assert log.read_bytes() == b"".join(lines[:2]) + b'{"step":20,"dice":0.5}\n'


@pytest.mark.fault(70, 72)
def test_a_lock_is_held_or_not_there(tmp_path: Path) -> None:
    def hold() -> None:
        with locked(tmp_path / "run"):
            pass

    for _, _, attempt in every(tmp_path, hold):
        attempt()
        assert temporaries(tmp_path) == []
        hold()


@pytest.mark.fault(70)
def test_an_export_is_whole_or_not_there(tmp_path: Path) -> None:
    def export() -> None:
        with whole(tmp_path / "out") as draft:
            for number in range(2):
                write_json(draft / str(number) / "a.json", number)

    for _, _, attempt in every(tmp_path, export):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        attempt()
        assert temporaries(tmp_path) == []
        assert len(tree(tmp_path)) in (0, 2)


# From here on what is tried takes a second or so each time: the default suite tries a few operations of each, and
# `make kills` every one.
ALL = pytest.param(1, marks=pytest.mark.kills, id="every operation")


@pytest.mark.fault(70)
@pytest.mark.parametrize("step", [pytest.param(19, id="some"), ALL])
def test_a_conversion_ends_as_if_the_disk_had_never_failed(tmp_path: Path, step: int) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    convert("acdc", raw, tmp_path / "whole")
    out, good = tmp_path / "data", tree(tmp_path / "whole")
    for _, _, attempt in every(out, lambda: _sound(convert("acdc", raw, out)), step):
        shutil.rmtree(out, ignore_errors=True)
        attempt()
        assert temporaries(out) == []
        assert {name: good[name] for name in tree(out) if _of_a_case(name)}.items() <= tree(out).items()
        convert("acdc", raw, out)
        assert tree(out) == good
        assert check(out / "acdc") == []


def _sound(reports) -> None:
    for report in reports:
        for failure in report.failures:
            raise failure


def _of_a_case(name: str) -> bool:
    return "/cases/" in name or "/images" in name or "/labels" in name


@pytest.fixture
def planned(tmp_path: Path) -> Callable[[str], Plan]:
    """A run of a second, in a folder by its name."""
    dataset = tiny_dataset(tmp_path / "data" / "tiny", 4, shape=(16, 16, 3))
    freeze_default(dataset)
    train = TrainConfig(
        net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
        **{"method": "mean_teacher", "steps": 3, "batch": 2, "patch": (16, 16), "checkpoint_every": 1},
        **{"deterministic": True, "threads": 1},
    )
    recipe = Recipe(dataset="tiny", protocol="full", train=train)
    return lambda name: plan(recipe, dataset, tmp_path / name)


@pytest.mark.fault(70)
@pytest.mark.parametrize("step", [pytest.param(79, id="some"), ALL])
def test_a_run_ends_as_if_the_disk_had_never_failed(planned, tmp_path: Path, step: int) -> None:
    """View, packs, checkpoints, log, model, predictions, record."""
    cut, place = planned("cut"), Place(cache=tmp_path / "cut" / "cache")
    good = core(run(planned("whole"), Place()))
    for _, _, attempt in every(tmp_path / "cut", lambda: run(cut, place), step):
        shutil.rmtree(tmp_path / "cut", ignore_errors=True)
        disk = attempt()
        assert disk.failed
        _all_readable(cut.folder)
        assert core(run(cut, place)) == good
        assert temporaries(tmp_path / "cut") == []


def _all_readable(folder: Path) -> None:
    """What has a name of its own is whole."""
    for path in folder.glob("*.json"):
        assert Record.load(path).status == ("done" if path.name == "record.json" else "failed")
    for path in folder.glob("model/model.safetensors"):
        from safetensors.torch import load_file

        load_file(path)
    if (folder / "view" / "dataset.json").is_file():
        assert check(folder / "view") == []


@pytest.mark.fault(70)
@pytest.mark.parametrize("step", [pytest.param(29, id="some"), ALL])
def test_pages_and_a_site_are_replaced_whole(planned, tmp_path: Path, bench, step: int) -> None:
    record = run(planned("runs"), Place())
    record.save(tmp_path / "leaderboards" / "results" / "tiny" / "one.json")
    for words in (
        ("table", "--write", tmp_path / "leaderboards"),
        ("site", tmp_path / "leaderboards" / "results", "--out", tmp_path / "out" / "site"),
    ):
        out = tmp_path / ("leaderboards" if words[0] == "table" else "out")

        def act(words: tuple[object, ...] = words) -> None:
            done = bench(*words)
            if done.code:
                raise EnvironmentFault(done.err)

        with faulty(out):
            act()
        before = tree(out)
        for _, _, attempt in every(out, act, step):
            attempt()
            # Between two renames a disk that fails for good leaves no site, and the old one beside its place.
            assert {name: data for name, data in tree(out).items() if ".tmp/" not in name}.items() <= before.items()
            act()
            assert temporaries(out) == []
            assert tree(out) == before
