"""Signals at any time, then the same command again: the same predictions and scores, the cost of segments summed."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import tiny_dataset

from bench.splits import freeze_default

HERE = Path(__file__).parent
SWEEP = """
[defaults]
dataset = "tiny"
preset = "demo"
[defaults.train]
steps = {steps}
batch = 2
patch = [16, 16]
net = {{ widths = [4, 8], dropout = [0.1, 0.1] }}
precision = "fp32"
threads = 1
deterministic = true
checkpoint_every = 3
[[run]]
protocol = "semi20"
method = {methods}
seed = {seeds}
[[run]]
protocol = "noisy50"
method = "confident_learning"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a tiny dataset."""
    freeze_default(tiny_dataset(tmp_path / "data" / "tiny", 6, shape=(16, 16, 3)))
    return tmp_path / "data"


def done(what: str, **asked: object) -> Any:
    """What `killing.py` tells of a scenario."""
    line = [sys.executable, str(HERE / "killing.py"), what, json.dumps(asked, default=str)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parents[1])}
    told = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout.splitlines()[-1])


def run(data: Path, *more: object, **changes: object) -> list[str]:
    """`bench run` with a method and more."""
    settings = {"batch": 2, "patch": [16, 16], "threads": 1, "precision": "fp32", **changes}
    typed = [word for name, value in settings.items() for word in ("--set", f"train.{name}={json.dumps(value)}")]
    place = ["run", "--data", data, "--dataset", "tiny", "--preset", "demo", "--device", "cpu", "--deterministic"]
    net = "train.net={widths=[4,8],dropout=[0.1,0.1]}"
    return [str(word) for word in (*place, *typed, "--set", net, "--method", *more)]


def swept(data: Path, kills: int, longest: float, **what: object) -> dict:
    file = data.parent / "sweep.toml"
    file.write_text(SWEEP.format(**{name: json.dumps(value) for name, value in what.items()}))
    return done("kills", folder=data.parent, file=file, data=data, kills=kills, longest=longest, seed=7)


@pytest.mark.slow
@pytest.mark.fault(69)
def test_a_sweep_killed_at_random_times_ends_in_the_same_table_byte_for_byte(data: Path) -> None:
    told = swept(data, 2, 0.5, steps=9, methods=["mean_teacher"], seeds=[0])
    assert told["kills"] == 2 and told["bytes"] > 100


@pytest.mark.kills
@pytest.mark.fault(69)
def test_twenty_kills_of_a_sweep_end_in_the_same_table_byte_for_byte(data: Path) -> None:
    told = swept(data, 20, 0.2, steps=200, methods=["supervised", "mean_teacher", "gce"], seeds=[0, 1])
    assert told["kills"] == 20
    print(json.dumps(told))  # noqa: T201


@pytest.mark.slow
@pytest.mark.fault(69)
def test_whoever_stops_a_run_and_however_it_ends_as_if_nobody_had(data: Path) -> None:
    """SIGINT and SIGTERM leave with 130 and a checkpoint, the second of two at once, SIGKILL as it does."""
    methods = (["mean_teacher", "--protocol", "semi20"], ["confident_learning", "--protocol", "noisy50"])
    runs = [run(data, *method, steps=40, checkpoint_every=4) for method in methods]
    for told in done("signals", folder=data.parent, runs=runs):
        assert told["codes"] == [130, 130, 130, -9]
        assert told["same"] and told["log"] and told["left"] == []
        assert told["items"] == [80, 80]
        assert told["segments"][0] == 1 and 3 <= told["segments"][1] <= 5


@pytest.mark.fault(70)
@pytest.mark.parametrize(
    ("first", "step", "least"),
    [
        pytest.param(79, 79, 2, id="some"),
        pytest.param(1, 1, 150, marks=pytest.mark.kills, id="every operation"),
    ],
)
def test_a_run_killed_in_an_operation_of_the_disk_ends_as_if_it_had_not(
    data: Path, first: int, step: int, least: int
) -> None:
    how = run(data, "mean_teacher", "--protocol", "full", steps=3, checkpoint_every=1)
    assert done("writes", folder=data.parent, run=how, first=first, step=step)["killed"] >= least
