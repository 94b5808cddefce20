"""`bench io`: the same voxels by every route, what it writes, and that it leaves nothing half done."""

import dataclasses
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
from tiny import tiny_dataset

from baselines.cache import prepare
from baselines.config import TrainConfig
from bench.feeding import records, routes
from bench.feeding.measure import Job, feed, fingerprint
from bench.feeding.routes import RECORDS, ROUTES, Source, chosen
from bench.splits import freeze_default
from converters.errors import BenchError
from converters.lock import locked

QUICK = ["--preset", "demo", "--device", "cpu", "--rounds", "2", "--seconds", "0"]
SMALL = ["--set", "train.patch=[16,16]", "--set", "train.batch=4", "--set", "train.threads=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder with the tiny dataset in it: 14 training cases of 4 slices."""
    folder = tmp_path_factory.mktemp("io") / "data"
    freeze_default(tiny_dataset(folder / "tiny", 10))
    return folder


@pytest.fixture
def source_of(made, tmp_path):
    """Makes a source for a recipe."""
    return lambda **config: Source(chosen(made[0]), TrainConfig(batch=5, **config), 3, tmp_path)


CONFIGS = {
    "resized": {"patch": (16, 16)},
    "cropped": {"patch": (16, 24), "grid": (1.5, 1.5), "foreground": 0.5},
    "volumes": {"patch": (8, 16, 16), "grid": (8.0, 1.5, 1.5)},
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_every_route_gives_the_same_samples_and_batches_of_their_shape(source_of, config):
    source = source_of(**config)
    made = {name: route(source) for name, route in ROUTES.items()}
    assert len({fingerprint(route, 7) for route in made.values()}) == 1
    for route in made.values():
        first, second = itertools.islice(route.batches(), 2)
        assert first.image.shape == (5, 1, *source.config.patch) and first.image.dtype == np.float16
        assert first.target.shape == (5, *source.config.patch)
        assert not np.array_equal(first.image, second.image)


@pytest.mark.parametrize("name", ROUTES)
def test_batches_hold_the_voxels_of_the_samples_they_name_and_each_once_a_pass(source_of, name):
    source = source_of(**CONFIGS["resized"])
    prepared = prepare(source.view, source.config)
    route = ROUTES[name](source)
    count = len(route.items())
    batches = list(itertools.islice(route.batches(), 2 * count // 5 + 1))
    for batch in batches:
        for image, target, case, z in zip(batch.image, batch.target, batch.case, batch.slice, strict=True):
            assert np.array_equal(image, prepared[case].image[:, z])
            assert np.array_equal(target, prepared[case].target[z])
    if name != "records":  # there the next sample is drawn from a buffer, and passes overlap
        drawn = [item for batch in batches for item in zip(batch.case.tolist(), batch.slice.tolist(), strict=True)]
        assert sorted(drawn[:count]) == sorted(set(drawn)) == sorted(route.items())


def test_the_buffer_of_the_record_file_mixes_and_is_bounded_by_bytes(source_of, monkeypatch):
    source = source_of(**CONFIGS["resized"])
    route = routes.Records(source)
    order = [item for item, _ in itertools.islice(route.stream(), len(route.items()))]
    assert order != sorted(order)
    monkeypatch.setattr(routes, "BUFFER_BYTES", 1)
    assert [item for item, _ in itertools.islice(route.stream(), 9)] == route.items()[:9]


def test_other_voxels_stop_the_comparison_before_anything_is_timed(source_of):
    with pytest.raises(BenchError, match="other voxels"):
        feed(Job("generator", source_of(**CONFIGS["resized"]), 1, 0.0, expected="0" * 64))


@pytest.mark.parametrize("place", [3, 9, 40, -3])
def test_a_damaged_record_file_is_seen(source_of, place):
    route = routes.Records(source_of(**CONFIGS["resized"]))
    whole = route.path.read_bytes()
    assert len(list(records.read(route.path))) == len(route.items())
    broken = bytearray(whole)
    broken[place] ^= 1
    for data in (bytes(broken), whole[:-1], whole[:5]):
        route.path.write_bytes(data)
        with pytest.raises(BenchError, match=r"record \d+ is damaged"):
            list(records.read(route.path))


def test_samples_nobody_annotated_are_left_out_by_every_route(made, tmp_path):
    seen = made[0]
    # As a dataset whose scribbles are its labels.
    cases = tuple(msgspec.structs.replace(c, label=next(iter(c.annotations.values()))) for c in seen.cases)
    view = dataclasses.replace(seen, cases=cases)
    source = Source(view, TrainConfig(batch=3, patch=(16, 16)), 0, tmp_path)
    assert len({fingerprint(route(source), 5) for route in ROUTES.values()}) == 1


@pytest.mark.slow
def test_the_command_writes_its_files_and_nothing_else(bench, data, tmp_path):
    out = tmp_path / "out"
    done = bench("io", "--data", data, "--dataset", "tiny", "--out", out, "--cache", tmp_path / "packs", *QUICK, *SMALL)
    assert done.code == 0, done.err
    assert sorted(path.name for path in out.iterdir()) == ["io.json", "io.md", "io.png", "io.svg"]
    assert all(word in done.out for word in ("memory", "packed cache", "record file", "generator"))
    told = json.loads((out / "io.json").read_text())
    assert [route["route"] for route in told["routes"]] == ["memory", "pack", "records", "generator"]
    assert len({route["voxels"] for route in told["routes"]}) == 1
    assert all(len(route["samples_per_s"]) == 2 and route["peak_mib"] >= route["start_mib"] for route in told["routes"])
    assert [route["disk_mib"] > 0 for route in told["routes"]] == [False, True, True, False]
    page = (out / "io.md").read_text()
    assert "bench io --dataset tiny --preset demo --set 'train.patch=[16,16]'" in page
    assert "56 samples of 14 cases, patch 16 x 16, batch 4" in page
    assert (out / "io.svg").read_bytes().startswith(b"<?xml")


@pytest.mark.slow
def test_packs_are_those_of_runs_and_a_record_file_can_be_kept(bench, data, tmp_path):
    arguments = ["--data", data, "--dataset", "tiny", "--out", tmp_path / "out", *QUICK, *SMALL, "--json"]
    more = ["--cache", tmp_path / "packs", "--route", "pack"]
    (first,) = json.loads(bench("io", *arguments, *more).out)["routes"]
    twice = ["--route", "records", "--route", "pack"]
    told = json.loads(bench("io", *arguments, *more, *twice, "--seed", 4, "--keep").out)
    second, written = told["routes"]
    assert shlex.split(told["command"])[:8] == ["bench", "io", "--dataset", "tiny", "--preset", "demo", "--seed", "4"]
    assert [first["reused"], second["reused"]] == [False, True]
    kept = tmp_path / "out" / "scratch" / "samples.records"
    assert len(list(records.read(kept))) == written["samples"]
    alone = json.loads(bench("io", *arguments, "--cache", "none", "--route", "pack").out)["routes"]
    assert not alone[0]["reused"] and alone[0]["disk_mib"] > 0
    assert not (tmp_path / "out" / "scratch").exists()


def test_what_cannot_be_compared_is_said_and_nothing_is_left(bench, data, tmp_path):
    tiny_dataset(tmp_path / "bare" / "tiny", 2, unlabelled=2)
    out = tmp_path / "out"
    asked = ["io", "--out", out, *QUICK, *SMALL]
    done = bench(*asked, "--data", tmp_path / "bare", "--dataset", "tiny")
    assert (done.code, out.exists()) == (3, False) and "no case has a label" in done.err
    for sidecar in (tmp_path / "bare" / "tiny" / "cases").iterdir():
        sidecar.unlink()
    done = bench(*asked, "--data", tmp_path / "bare", "--dataset", "tiny")
    assert done.code == 3 and "no case" in done.err
    done = bench(*asked, "--data", data, "--dataset", "tinny")
    assert done.code == 2
    (tmp_path / "file").write_text("")
    done = bench("io", "--out", tmp_path / "file" / "out", *QUICK, *SMALL, "--data", data, "--dataset", "tiny")
    assert done.code == 4 and "cannot be written" in done.err


def test_a_second_comparison_takes_nothing_from_the_one_at_work(bench, data, tmp_path):
    scratch = tmp_path / "out" / "scratch"
    with locked(scratch):
        (scratch / RECORDS).write_bytes(b"at work")
        done = bench("io", "--out", tmp_path / "out", *QUICK, *SMALL, "--data", data, "--dataset", "tiny")
        assert done.code == 4 and "has been at work here" in done.err
        assert (scratch / RECORDS).read_bytes() == b"at work"


def test_an_interrupted_comparison_leaves_nothing(data, tmp_path):
    out = tmp_path / "deep" / "out"
    words = ["io", "--data", str(data), "--dataset", "tiny", "--out", str(out), "--cache", "none", *QUICK, *SMALL]
    words[words.index("--seconds") + 1] = "600"
    # What a shell starts in the background ignores the signal, and hands that on.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}\nfrom bench.cli import main\nif __name__ == '__main__': main({words})"
    script = tmp_path / "start.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, start_new_session=True)
    try:
        for _ in range(600):
            if out.is_dir():
                break
            time.sleep(0.1)
        assert (out / "scratch").is_dir()
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert not (tmp_path / "deep").exists()
