"""Real clusters, as small as they come: two Ray nodes of which one is killed, and submitit jobs of which one is.

`make cluster` installs what these need and runs them; the default run leaves them out.
"""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from pretend import wait_until
from swept import HEAD

from converters.lock import holder
from leaderboards.record import Record

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")]

SIX = HEAD.replace("steps = 3", "steps = 300\ncheckpoint_every = 20") + (
    '[[run]]\nmethod = "counted"\nprotocol = "semi20"\nseed = [0, 1, 2, 3, 4, 5]\n'
)
TWELVE = SIX.replace('"semi20"', '["full", "semi20"]')
# Every record that is written, of success or failure, leaves a line beside it.
COUNTED = """
import os

from baselines.methods.supervised import Supervised
from leaderboards.record import Record

save = Record.save


def counted(record, path):
    save(record, path)
    with (path.parent / "ends").open("a") as ends:
        ends.write(f"{path.name} {os.getpid()}\\n")


if save.__name__ != "counted":  # a plugin is read more than once
    Record.save = counted


class Counted(Supervised):
    pass
"""


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "counted.py"
    path.write_text(COUNTED)
    return path


def at_work(runs: Path) -> list[tuple[Path, int]]:
    """Runs in the middle of their training, beyond a checkpoint, and the pid of each."""
    found = []
    for checkpoint in runs.rglob("checkpoint.safetensors"):
        folder = checkpoint.parent.parent
        who = holder(folder)
        if who is not None and not (folder / "ends").exists():
            found.append((folder, who.pid))
    return found


class Deed(threading.Thread):
    """Does something to a cluster once so many runs are in the middle of their training."""

    def __init__(self, runs: Path, many: int, deed) -> None:
        super().__init__(daemon=True)
        self._runs, self._many, self._deed, self.error = runs, many, deed, None

    def run(self):
        try:
            wait_until(lambda: len(at_work(self._runs)) >= self._many, 240)
            self._deed(at_work(self._runs))
        except BaseException as error:
            self.error = error

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.join(240)
        assert self.error is None, self.error


def seen_to_be_whole(told, many: int) -> int:
    """Nothing is lost and nothing came to its end twice; how many runs went on from a checkpoint."""
    folders = [Path(run["folder"]) for run in told]
    assert len(set(folders)) == many and {run["state"] for run in told} == {"done"}
    for folder in folders:
        (end,) = (folder / "ends").read_text().splitlines()
        assert end.startswith("record.json ")
        assert [path.name for path in folder.glob("*.json")] == ["record.json"]
        steps = [line.partition(b",")[0] for line in (folder / "model" / "log.jsonl").read_bytes().splitlines()]
        assert len(steps) == len(set(steps)) and steps[-1] == b'{"step":299'
    assert not list(folders[0].parents[3].rglob("lock.json"))
    segments = [Record.load(folder / "record.json").train.segments for folder in folders]
    return sum(count > 1 for count in segments)


def test_a_killed_node_of_a_ray_cluster_loses_nothing(sweep, data, plugin, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)  # Ray reads these as it is imported
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="needs the extra [ray]")
    node = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
    cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        doomed = cluster.add_node(**node)
        with Deed(data.parent / "runs", 2, lambda _: cluster.remove_node(doomed, allow_graceful=False)):
            told = sweep(TWELVE, "--plugin", plugin, "--executor", "ray", "--ray-address", cluster.address)
    finally:
        cluster.shutdown()
    assert seen_to_be_whole(told, 12) == 1


def test_a_killed_submitit_job_loses_nothing(sweep, data, plugin):
    pytest.importorskip("submitit", reason="needs the extra [slurm]")

    def kill(runs):
        (_, pid), *_ = runs
        job = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        os.kill(int(job), signal.SIGKILL)

    with Deed(data.parent / "runs", 1, kill):
        told = sweep(SIX, "--plugin", plugin, "--executor", "slurm", "--slurm", "cluster=local", "--jobs", 2)
    assert seen_to_be_whole(told, 6) == 1
    logs = data.parent / "runs" / "slurm"
    assert len(list(logs.glob("*/*_log.err"))) == 7  # a job a run, and one again
