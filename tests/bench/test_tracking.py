"""Trackers that keep what they are told, that raise, hang or are slow: no run minds."""

import contextlib
import importlib.util
import os
import signal
from functools import partial

import msgspec
import pytest
from swept import HEAD
from tiny import tiny_dataset
from tracked import STEPS, TRAIN, losses, tiny_plan
from trackers import Broken, Kept, Stuck, call, place, wait_until

from bench.plan import plan
from bench.recipe import Recipe
from bench.run import Place, run
from bench.splits import freeze_default
from bench.tracking import courier, follow, told
from bench.tracking.courier import Wanted
from leaderboards.record import Record
from leaderboards.summary import summarise

LINES = 5  # of the log of such a run: steps 0, 10, 20, 30 and the last


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(courier, "EVERY", 0.01)
    monkeypatch.setattr("baselines.loop.HELD_STEPS", 1)


@pytest.fixture(scope="module")
def hearts(tmp_path_factory):
    """A tiny dataset with its default split: for reading only."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("tracked") / "data" / "tiny", 6)
    freeze_default(dataset)
    return dataset


@pytest.fixture(scope="module")
def untracked(hearts, tmp_path_factory):
    """What a run without trackers comes to."""
    return run(tiny_plan(hearts, tmp_path_factory.mktemp("untracked")), Place()).core()


def test_a_tracker_is_told_what_the_log_and_the_record_say_and_no_number_moves(hearts, untracked, tmp_path):
    kept, made = Kept(), tiny_plan(hearts, tmp_path)
    record = run(made, place(kept))
    assert record.core() == untracked
    assert record.machine["tracked"] == "fake0"  # its time and memory were part of what was measured
    assert {key: value for key, value in kept.values.items() if key[0].startswith("train/")} == losses(made.folder)
    assert len(losses(made.folder)) == LINES * 2
    for label in ("left", "right", "wall"):
        cases = [score for score in record.cases if score.label == label]
        assert kept.final[f"test/dice-v1/label {label}"] == summarise([cases], "dice:v1").mean
    assert kept.final["test/dice-v1/mean"] == summarise([record.cases], "dice:v1").mean
    assert kept.final["cost/train_seconds"] == record.train.seconds
    assert len(kept.pictures) == 2 and min(min(size) for size in kept.pictures.values()) > 20  # of two test cases
    assert kept.ends == ["done"]
    (about,) = kept.opened
    assert about.folder.name == made.folder.name and about.path.startswith("tiny/full/supervised/")
    assert about.settings["train.lr"] == str(TRAIN.lr) and about.settings["train.net.widths"] == "[4,8]"


def test_a_run_that_is_taken_up_again_is_told_whole(hearts, untracked, tmp_path):
    made = tiny_plan(hearts, tmp_path)

    def interrupt(phase, done, total):
        if (phase, done) == ("train", 21):
            os.kill(os.getpid(), signal.SIGTERM)

    first, again, after = Kept(), Kept(), Kept()
    with pytest.raises(KeyboardInterrupt):
        run(made, place(first, progress=interrupt))
    assert first.ends == ["stopped"] and first.final == {}
    assert {step for _, step in first.values} == {0, 10, 20}
    assert run(made, place(again)).core() == untracked
    assert again.values == losses(made.folder)
    assert [point.step for point in again.points] == [0, 10, 20, 30, STEPS - 1]
    run(made, place(after))  # it was done: nothing is trained, and all is told
    assert (after.values, after.final, after.ends) == (again.values, again.final, ["done"])


def test_a_run_that_fails_says_so(hearts, tmp_path):
    kept = Kept()
    broken = msgspec.structs.replace(TRAIN, lr=1e30)
    with pytest.raises(ValueError, match="the loss is"):
        run(plan(Recipe(dataset="tiny", train=broken), hearts, tmp_path), place(kept))
    assert kept.ends == ["failed"] and ("train/ce", 0) in kept.values


def test_steps_of_stages_count_on(hearts, tmp_path):
    plugin = tmp_path / "twice.py"
    plugin.write_text(
        "from baselines.methods.supervised import Supervised as Parent\n"
        "from baselines.stages import Stage\n"
        "class Twice(Parent):\n"
        "    stages = (Stage('one', 0.4), Stage('two', 0.6))\n"
    )
    kept, live = Kept(), []
    made = plan(Recipe(dataset="tiny", train=msgspec.structs.replace(TRAIN, method="twice")), hearts, tmp_path / "runs")

    def watch(phase, done, total):
        if phase == "predict" and not live:
            wait_until(lambda: len(kept.values) == len(losses(made.folder)))
            live.append(kept.values)

    run(made, place(kept, plugin=plugin, progress=watch))
    assert live[0] == kept.values == losses(made.folder)
    assert {step for _, step in kept.values} == {0, 10, 13, 14, 24, 34}


@pytest.mark.parametrize("where", ["open", "series", "scores", "picture", "end"])
def test_a_tracker_that_raises_costs_one_line(hearts, untracked, tmp_path, capsys, where):
    broken, kept = Broken(where, RuntimeError("away: https://me:secret@there/x\nmore")), Kept()
    trackers = (Wanted("broken", partial(call, broken, "open"), "all"), Wanted("kept", kept.open, "all"))
    assert run(tiny_plan(hearts, tmp_path), Place(track=trackers)).core() == untracked
    lines = [line for line in capsys.readouterr().err.splitlines() if "track" in line]
    assert lines == ["track broken: RuntimeError: away: https://***@there/x; the run goes on, log.jsonl has it all"]
    assert kept.ends == ["done"]  # the other one


def test_a_tracker_that_ends_its_thread_costs_one_line(hearts, untracked, tmp_path, capsys):
    broken = Broken("series", SystemExit(3))
    assert run(tiny_plan(hearts, tmp_path), place(broken)).core() == untracked
    assert capsys.readouterr().err.count("track fake0: SystemExit: 3") == 1


def test_a_tracker_that_comes_back_has_all_at_the_end(hearts, tmp_path, capsys):
    made, failures = tiny_plan(hearts, tmp_path), [OSError("away")]
    kept = Kept()

    def series(points):
        if failures:
            raise failures.pop()
        Kept.series(kept, points)

    kept.series = series
    run(made, place(kept))
    assert len(kept.opened) == 2 and kept.ends == ["done"]
    assert kept.values == losses(made.folder)
    assert capsys.readouterr().err.count("track fake0: OSError: away") == 1


@pytest.mark.parametrize("where", ["open", "series", "end"])
def test_a_tracker_that_hangs_for_ever_is_left_alone(hearts, untracked, tmp_path, capsys, monkeypatch, where):
    monkeypatch.setattr(follow, "PATIENCE", 0.2 if where != "end" else 2.0)
    stuck = Stuck(where)
    try:
        made = tiny_plan(hearts, tmp_path)
        assert run(made, place(stuck)).core() == untracked
        assert stuck.reached.is_set() and not stuck.free.is_set() and stuck.ends == []
        assert not (made.folder / "lock.json").exists()
        assert capsys.readouterr().err.count("track fake0: it has not taken all in time and is left alone") == 1
    finally:
        stuck.free.set()
        wait_until(lambda: stuck.ends == ["done"])


def test_what_does_not_fit_into_the_queue_is_counted_and_sent_at_the_end(
    hearts, untracked, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(courier, "ROOM", 2)
    stuck, made = Stuck("open"), tiny_plan(hearts, tmp_path)

    def let(phase, done, total):
        if phase == "predict":
            stuck.free.set()

    assert run(made, place(stuck, progress=let)).core() == untracked
    assert stuck.values == losses(made.folder) and stuck.ends == ["done"]
    # The first batch is what the log was opened with: nothing. One line fits behind it.
    said = f"track fake0: {LINES - 1} lines of the log did not fit into its queue; sent at the end, from log.jsonl"
    assert capsys.readouterr().err.count(said) == 1


def test_no_two_names_of_structures_become_one_series():
    names = ["a b", "a_b", "a/b", "a.b", "a.2fb", "ä", "", ".", "..", "x:y"]
    assert len({told.part(name) for name in names}) == len(names)
    assert all(set(told.part(name)).isdisjoint("/:ä") for name in names)


def test_the_step_that_was_selected_is_told(hearts, tmp_path):
    kept = Kept()
    train = msgspec.structs.replace(TRAIN, steps=6, snapshots=2)
    made = plan(Recipe(dataset="tiny", train=train, selection="best_val"), hearts, tmp_path)
    record = run(made, place(kept))
    told_of = {step: value for (name, step), value in kept.values.items() if name == "validation/dice"}
    assert told_of == record.chosen.dice and len(told_of) == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--track", "tensorbord"], 2, "Did you mean 'tensorboard'"),
        (["--track", "tensorboard:here"], 2, "no place to track to"),
        (["--track", "mlflow:here"], 2, "mlflow:URI"),
        (["--track", "mlflow"], 4, "pip install 'frugalseg[track]'"),
        (["--track", "tensorboard", "--track", "mlflow:http://there"], 4, "pip install 'frugalseg[track]'"),
    ],
)
def test_what_lacks_is_said_before_the_run(bench, hearts, tmp_path, monkeypatch, words, code, said):
    there = importlib.util.find_spec
    absent = ("mlflow", "tensorboard")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name in absent else there(name, *more))
    words = ["run", "--data", hearts.root.parent, "--runs", tmp_path / "runs", "--dataset", "tiny", *words]
    done = bench(*words)
    assert (done.code, done.err.count(said)) == (code, 1)
    assert not (tmp_path / "runs").exists()


def test_pictures_of_people_go_nowhere_else_unasked(hearts, tmp_path, monkeypatch):
    choose = pytest.importorskip("bench.tracking.choose")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    typed = ["tensorboard", "mlflow", "mlflow:sqlite:///x.db", "mlflow:https://there"]
    assert [one.which for one in choose.chosen(typed, tmp_path, None)] == ["all", "all", "all", "phantoms"]
    assert {one.which for one in choose.chosen(typed, tmp_path, "none")} == {"none"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://there")
    assert choose.chosen(["mlflow"], tmp_path, None)[0].which == "phantoms"
    made = tiny_plan(hearts, tmp_path)
    record = run(made, Place())
    assert len(list(told.pictures(made, record, "all"))) == 2
    assert list(told.pictures(made, record, "phantoms")) == []
    with contextlib.suppress(FileNotFoundError):
        (made.folder / "predictions" / f"{made.test[0].id}.nii.gz").unlink()
    assert len(list(told.pictures(made, Record.load(made.folder / "record.json"), "all"))) == 1


SWEEP = f"{HEAD}[[run]]\nseed = [0, 1]\n"


def test_a_sweep_tracks_each_of_its_runs(bench, hearts, tmp_path, monkeypatch):
    kept, asked = [], []

    def chosen(typed, runs, which):
        asked.append((typed, runs, which))
        kept.append(Kept())
        return (Wanted("fake", kept[-1].open, which),)

    monkeypatch.setattr("bench.tracking.choose.chosen", chosen)
    (tmp_path / "s.toml").write_text(SWEEP)
    words = ["sweep", tmp_path / "s.toml", "--data", hearts.root.parent, "--runs", tmp_path / "runs", "--device", "cpu"]
    track = ["--track", "mlflow:sqlite:///x.db", "--track", "tensorboard", "--track-pictures", "none"]
    emitted = bench(*words, *track, "--emit", "jobs.jsonl").out.splitlines()
    assert len(emitted) == 2
    for line in emitted:
        assert '"--track","mlflow:sqlite:///x.db","--track","tensorboard","--track-pictures","none"' in line
    asked.clear()
    kept.clear()
    assert bench(*words, *track).code == 0
    before, *each = kept  # asked once before the first run, for what may lack
    assert before.opened == [] and [tracker.ends for tracker in each] == [["done"], ["done"]]
    assert {tracker.opened[0].settings["seed"] for tracker in each} == {"0", "1"}
    assert all(("train/ce", 2) in tracker.values and not tracker.pictures for tracker in each)
    assert set(asked) == {(("mlflow:sqlite:///x.db", "tensorboard"), tmp_path / "runs", "none")}
