"""Event files of TensorBoard and stores of MLflow, read back; a server that is killed while a run tells it things.

Needs the extra [track]: `make tracking` installs it and runs these.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from tiny import tiny_dataset
from tracked import STEPS, losses, tiny_plan

from bench.run import Place, run
from bench.splits import freeze_default
from bench.tracking import courier, follow, told
from bench.tracking.choose import chosen
from converters.errors import EnvironmentFault
from leaderboards.record import Record

pytestmark = pytest.mark.slow
LONG = 240.0  # seconds until something is given up: a server takes its time on a busy machine


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    """Nobody's own settings; and patience, for here all of it is to arrive."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(courier, "EVERY", 0.05)
    monkeypatch.setattr(follow, "PATIENCE", LONG)
    monkeypatch.setattr(follow, "HASTE", LONG)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """A tiny dataset with its default split: for reading only."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("stores") / "data" / "tiny", 6)
    freeze_default(dataset)
    return dataset


@pytest.fixture(scope="module")
def untracked(hearts, tmp_path_factory):
    """What a run without trackers comes to."""
    return run(tiny_plan(hearts, tmp_path_factory.mktemp("untracked")), Place()).core()


def interrupted(made, track, step=21):
    """Begin a run and ask it to stop after so many steps."""

    def interrupt(phase, done, total):
        if (phase, done) == ("train", step):
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        run(made, Place(track=track, progress=interrupt))


def wait_until(fact):
    until = time.monotonic() + LONG
    while not fact():
        assert time.monotonic() < until, "it never came to be"
        threading.Event().wait(0.05)


def events(folder):
    """What TensorBoard reads in a folder, all of it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(found):
    return {(tag, event.step): event.value for tag in found.Tags()["scalars"] for event in found.Scalars(tag)}


def test_tensorboard_reads_back_what_was_logged_and_scored_over_an_interruption(hearts, untracked, tmp_path):
    pytest.importorskip("tensorboard", reason="needs the extra [track]: make tracking")
    made, track = tiny_plan(hearts, tmp_path / "runs"), chosen(["tensorboard"], tmp_path / "runs", None)
    interrupted(made, track)
    assert {step for _, step in scalars(events(made.folder))} == {0, 10, 20}
    record = run(made, Place(track=track))
    assert record.core() == untracked
    assert len(list(made.folder.glob("events.out.tfevents.*"))) == 1  # the earlier one told the same, and is gone
    found = events(made.folder)
    values = scalars(found)
    assert {key: value for key, value in values.items() if key[0].startswith("train/")} == losses(made.folder)
    scored = {name: value for (name, step), value in values.items() if name.startswith(("test/", "cost/"))}
    assert scored == pytest.approx(told.scores(record), rel=1e-6)  # the format has single precision
    assert len(found.Tags()["images"]) == 2
    for tag in found.Tags()["images"]:
        (picture,) = found.Images(tag)
        assert picture.encoded_image_string.startswith(b"\x89PNG") and min(picture.width, picture.height) > 20
    assert b"train.steps = 35" in found.Tensors("recipe/text_summary")[0].tensor_proto.string_val[0]
    assert found.Tensors("state/text_summary")[0].tensor_proto.string_val[0] == b"done"
    assert "hparams" in found.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name


def values(client, run_id):
    """(series, step) -> value of a run of MLflow; nothing stands there twice."""
    metrics = [
        metric for name in client.get_run(run_id).data.metrics for metric in client.get_metric_history(run_id, name)
    ]
    found = {(metric.key, metric.step): metric.value for metric in metrics}
    assert len(found) == len(metrics)
    return found


def only_run(client):
    (experiment,) = [one for one in client.search_experiments() if one.name == "frugalseg"]
    (found,) = client.search_runs([experiment.experiment_id])
    return found


def check_store(client, made, record):
    """That a store has all of a run, once."""
    found = only_run(client)
    assert found.info.run_name == made.folder.name and found.info.status == "FINISHED"
    expected = losses(made.folder) | {(name, 0): value for name, value in told.scores(record).items()}
    assert values(client, found.info.run_id) == expected
    assert found.data.params == told.about(made, {}).settings
    assert found.data.params["train.steps"] == str(STEPS) and found.data.params["train.method"] == "supervised"
    assert found.data.tags["frugalseg.state"] == "done"
    return found


def test_a_store_of_mlflow_beside_the_runs_has_one_run_over_an_interruption(hearts, untracked, tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra [track]: make tracking")
    runs = tmp_path / "läufe mit raum"
    made, track = tiny_plan(hearts, runs), chosen(["mlflow"], runs, None)
    interrupted(made, track)
    client = mlflow.MlflowClient(f"sqlite:///{runs / 'mlflow.db'}")
    assert only_run(client).info.status == "KILLED"
    assert {step for _, step in values(client, only_run(client).info.run_id)} == {0, 10, 20}
    record = run(made, Place(track=track))
    assert record.core() == untracked
    found = check_store(client, made, record)
    pictures = {Path(one.path).name for one in client.list_artifacts(found.info.run_id, "pictures")}
    assert len(pictures) == 2 and all(name.endswith(".png") for name in pictures)
    assert len(list((runs / "mlflow-artifacts").rglob("*.png"))) == 2
    before = values(client, found.info.run_id)
    run(made, Place(track=track))  # done, and told again: nothing is added
    assert values(client, found.info.run_id) == before
    assert [one.name for one in tmp_path.iterdir()] == [runs.name]  # nothing of MLflow lies where somebody stood


class Server:
    """`mlflow server` on a port that is free, with a store in a folder."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as any_port:
            any_port.bind(("127.0.0.1", 0))
            self.port = any_port.getsockname()[1]
        self.folder, self.uri = folder, f"http://127.0.0.1:{self.port}"
        folder.mkdir()

    def start(self) -> None:
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        store = ["--backend-store-uri", f"sqlite:///{self.folder}/s.db", "--artifacts-destination", self.folder / "a"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words, *map(str, store)],
            env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "said.txt").open("ab"),
            start_new_session=True,
        )
        wait_until(self._up)

    def _up(self) -> bool:
        assert self.process.poll() is None, (self.folder / "said.txt").read_text()
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5) as answer:
            return bool(answer.status == 200)
        return False

    def kill(self) -> None:
        """The server and what it has started: at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def test_killing_the_server_during_a_run_costs_the_tracking_alone(hearts, untracked, tmp_path, capsys):
    mlflow = pytest.importorskip("mlflow", reason="needs the extra [track]: make tracking")
    server, runs = Server(tmp_path / "server"), tmp_path / "runs"
    made, track = tiny_plan(hearts, runs), chosen([f"mlflow:{server.uri}"], runs, None)
    client = mlflow.MlflowClient(server.uri)

    def has(step):
        with contextlib.suppress(Exception):
            return ("train/ce", step) in values(client, only_run(client).info.run_id)
        return False

    def kill(phase, done, total):
        if (phase, done) == ("train", 25):
            wait_until(lambda: has(20))
            server.kill()

    try:
        server.start()
        record = run(made, Place(track=track, progress=kill))
        assert record.core() == untracked
        assert record == Record.load(made.folder / "record.json")
        assert {step for _, step in losses(made.folder)} == {0, 10, 20, 30, STEPS - 1}
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("track mlflow:")]
        assert len(lines) == 1 and "the run goes on, log.jsonl has it all" in lines[0]
        server.start()
        known = only_run(client).info.run_id
        assert {step for _, step in values(client, known)} == {0, 10, 20}
        assert run(made, Place(track=track)) == record  # the same command: the server gets what it lacks
        found = check_store(client, made, record)
        assert found.info.run_id == known
        assert client.list_artifacts(known, "pictures") == []  # no phantom, and nobody asked for more
    finally:
        server.kill()


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_the_command_tracks_where_it_says(bench, hearts, tmp_path, name):
    pytest.importorskip(name, reason="needs the extra [track]: make tracking")
    runs = tmp_path / "runs"
    quick = ["--set", "train.steps=3", "--set", "train.patch=[16,16]", "--set", "train.batch=2"]
    net = ["--set", "train.net={widths=[4,8],dropout=[0,0]}", "--track-pictures", "none"]
    words = ["--data", hearts.root.parent, "--runs", runs, "--dataset", "tiny", "--preset", "demo", "--device", "cpu"]
    done = bench("run", *words, *quick, *net, "--track", name)
    assert done.code == 0, done.err
    (record,) = runs.rglob("record.json")
    assert Record.load(record).machine["tracked"] == name
    if name == "tensorboard":
        assert events(record.parent).Tags()["images"] == []
        assert ("train/ce", 2) in scalars(events(record.parent))
    else:
        import mlflow

        assert only_run(mlflow.MlflowClient(f"sqlite:///{runs}/mlflow.db")).info.run_name == record.parent.name


def test_a_server_that_is_not_there_is_no_fault_of_the_machine(hearts, untracked, tmp_path, capsys):
    pytest.importorskip("mlflow", reason="needs the extra [track]: make tracking")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens
        track = chosen([f"mlflow:http://me:secret@127.0.0.1:{nobody.getsockname()[1]}"], tmp_path, None)
        try:
            assert run(tiny_plan(hearts, tmp_path), Place(track=track)).core() == untracked
        except EnvironmentFault as error:
            raise AssertionError("a run stopped for its tracker") from error
    said = capsys.readouterr().err
    assert said.count("track mlflow:") == 1 and "secret" not in said
