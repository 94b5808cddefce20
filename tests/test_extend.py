"""docs/extend.md, carried out: one dataset, method, network, metric and annotator more, in a copy of the suite."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import tiny_dataset

from converters.volume import Volume, write_nifti

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "extend.md"
QUICK = ["--preset", "demo", "--set", "train.steps=2", "--set", "train.patch=[16, 16]"]
QUICK += ["--set", "train.net.widths=[4, 8]", "--set", "train.net.dropout=[0.0, 0.0]"]
INSIDE = {"in PROTOCOLS": "PROTOCOLS = (\n", "in overlaps": "    return {\n"}  # what a block is put behind


def blocks() -> dict[str, str]:
    """First line of each code block of the page, without the mark of a comment -> the block."""
    found = re.findall(r"```\w+\n# (.*?)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return dict(found)


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """A copy of the four packages and the tests with everything from the page put in its place."""
    folder = tmp_path_factory.mktemp("suite")
    for package in ("bench", "baselines", "leaderboards", "converters", "tests"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "results", "pages")
        )
    for place, code in blocks().items():
        path = folder / place.partition(",")[0]
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if inside := next((line for end, line in INSIDE.items() if place.endswith(end)), None):
            head, table, rest = text.partition(inside)
            assert table, place
            text = head + table + code + rest
        else:
            text += f"\n\n{code}" if text else code
        path.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def contributing():
    """The commands of CONTRIBUTING.md: of each part of the page, block by block."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return [re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL) for part in text.split("\n## ")]


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    """Ten people of the clinic: a bright ball in the dark."""
    folder = tmp_path_factory.mktemp("clinic")
    rng = np.random.default_rng(0)
    grid = np.indices((24, 24, 6))
    for person in range(10):
        centre = np.array([12, 12, 3]) + rng.integers(-3, 4, 3) * (1, 1, 0)
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, (6, 6, 3), strict=True)) < 1
        image = np.where(inside, 120, -40) + rng.normal(0, 10, inside.shape)
        affine = np.diag([-1.0, -1.0, 5.0, 1.0])
        write_nifti(folder / f"person{person:02d}.nii.gz", Volume(image.astype(np.int16), affine))
        write_nifti(folder / f"person{person:02d}_label.nii.gz", Volume(inside.astype(np.uint8), affine))
    return folder


@pytest.fixture(scope="module")
def extended(suite):
    """Runs `bench ...` of the copy: gives stdout, and fails with what it said."""
    environment = {**os.environ, "PYTHONPATH": str(suite), "OMP_NUM_THREADS": "1"}

    def run(*words):
        line = [sys.executable, "-m", "bench.cli", *map(str, words)]
        done = subprocess.run(line, cwd=suite, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_the_page_holds_one_of_each():
    parts = [*["baselines"] * 2, *["bench"] * 4, "converters", "tests"]
    assert sorted(place.partition("/")[0] for place in blocks()) == parts


def test_new_names_are_listed_without_a_list_to_edit(extended):
    listed = {(entry["kind"], entry["name"]) for entry in map(json.loads, extended("ls", "--json").splitlines())}
    new = {
        ("source", "clinic"),
        ("dataset", "clinic"),
        ("method", "focal"),
        ("network", "tiny"),
        ("protocol", "points"),
    }
    assert new <= listed


def test_a_new_dataset_method_network_metric_and_annotator_run_together(extended, raw, suite):
    assert extended("convert", "clinic", raw, "data").startswith("clinic: 10 cases")
    assert extended("check", "data/clinic") == ""
    network = ["--set", "train.net.arch=tiny", "--set", "train.net.options.width=4"]
    extended("run", "--dataset", "clinic", "--protocol", "points", "--method", "focal", *QUICK, *network)
    row = json.loads(extended("table", "runs", "--json"))
    assert (row["method"], row["section"]["annotator"]) == ("focal", "simulated points")
    assert 0 <= row["macro"]["vs:v1"]["mean"] <= 1
    record = json.loads(next((suite / "runs").rglob("record.json")).read_text())
    assert record["recipe"]["train"]["window"] == [-150.0, 250.0]
    assert record["parameters"] == (9 + 1) * 4 + (16 * 4 + 1) * 8 + 4 * 8 * 4 + 4 + (8 + 1) * 2
    # One voxel of each of two classes in every slice that holds them.
    assert record["budget"]["annotated_voxels"] < 2 * record["budget"]["annotated_slices"] + 1


def test_a_method_may_lie_anywhere_when_its_file_is_named(bench, tmp_path):
    plugin = tmp_path / "elsewhere" / "focal.py"
    plugin.parent.mkdir()
    plugin.write_text(blocks()["baselines/methods/focal.py"], encoding="utf-8")
    view = tiny_dataset(tmp_path / "view", 4, shape=(20, 20, 3)).root
    words = ["train", view, "--method", "focal", *QUICK, "--device", "cpu", "--json"]
    done = bench(*words, "--plugin", plugin, "--out", tmp_path / "model", "--set", "train.options.gamma=1")
    assert done.code == 0, done.err
    assert json.loads(done.out)["parameters"] > 0


@pytest.mark.fault(84)
def test_a_method_in_the_current_folder_is_not_picked_up(bench, tmp_path, monkeypatch):
    (tmp_path / "focal.py").write_text(blocks()["baselines/methods/focal.py"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    view = tiny_dataset(tmp_path / "view", 4, shape=(20, 20, 3)).root
    done = bench("train", view, "--method", "focal", *QUICK, "--out", "model")
    assert done.code == 2
    assert "no method 'focal'" in done.err


@pytest.mark.blocks
def test_contributing_is_followed_to_the_letter(suite, raw, contributing, tmp_path):
    shutil.copytree(ROOT / "docs", suite / "docs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", suite)
    (tmp_path / "bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bench.cli "$@"\n')
    (tmp_path / "bench").chmod(0o755)
    path = os.pathsep.join((str(tmp_path), str(Path(sys.executable).parent), os.environ["PATH"]))
    quick = "train.steps=2 train.patch=[16,16] train.net.widths=[4,8] train.net.dropout=[0.0,0.0]"
    own = {"PATH": path, "PYTHONPATH": str(suite), "OMP_NUM_THREADS": "1", "BENCH_RUN_SETTINGS": quick}
    said = []
    for part in contributing:
        for name in ("raw", "data", "runs"):
            shutil.rmtree(suite / name, ignore_errors=True)
        for block in part:
            # What make does is told in one line of the Makefile; the copy has neither that nor a .venv of its own.
            lines = [line for line in block.splitlines() if not line.startswith(("make ", ". .venv"))]
            text = "\n".join(lines).replace("path/to/clinic", str(raw))
            line = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(line, cwd=suite, env=os.environ | own, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
            said.append(done.stdout)
    everything = "".join(said)
    assert [told for told in ("clinic: 10 cases", "focal", "vs:v1", "[100%]") if told not in everything] == []
