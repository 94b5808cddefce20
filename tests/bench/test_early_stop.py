"""Early stopping: training ends by validation labels that count, it never sees them, and the record says when."""

import msgspec
import pytest
from tiny import tiny_dataset

from baselines.config import NetConfig, TrainConfig, plain
from bench.claims import claims
from bench.plan import plan
from bench.recipe import Choice, Recipe, resolve
from bench.run import Place, run
from bench.selection import EarlyStop, exhausted
from bench.splits import freeze_default
from bench.sweep import Unit, standing
from bench.verify import Means, verify
from converters.errors import BenchError

TRAIN = TrainConfig(
    net=NetConfig(widths=(4, 8), dropout=(0.0, 0.0)),
    steps=24,
    batch=4,
    patch=(16, 16),
    optimizer="adamw",
    lr=0.02,
    deterministic=True,
    threads=1,
    snapshots=8,
    checkpoint_every=5,
)


# Nothing that such a network predicts ever changes: no step is large enough, and it has no running statistics.
STUCK = {"net": NetConfig(widths=(8, 16), dropout=(0.0, 0.0), norm="group"), "lr": 1e-12}


def recipe(selection="early_stop", patience=2, **changes):
    train = msgspec.structs.replace(TRAIN, **changes)
    return Recipe(dataset="tiny", protocol="semi20", selection=selection, patience=patience, train=train)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Ten subjects: seven train, one validates, two test."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("early") / "data" / "tiny", 10)
    freeze_default(dataset)
    return dataset


@pytest.fixture(scope="module")
def stopped(tiny, tmp_path_factory):
    """A run that learns nothing and therefore ends early."""
    made = plan(recipe(**STUCK), tiny, tmp_path_factory.mktemp("runs"))
    return made, run(made, Place())


@pytest.mark.parametrize(
    ("dice", "patience", "ends"),
    [
        ([0.5], 1, False),
        ([0.5, 0.5], 1, True),
        ([0.5, 0.4, 0.4], 3, False),
        ([0.5, 0.4, 0.4, 0.5], 3, True),
        ([0.5, 0.4, 0.4, 0.6], 3, False),
        ([0.1, 0.5, 0.4, 0.3], 3, False),
        ([0.1, 0.5, 0.4, 0.3, 0.2], 3, True),
    ],
)
def test_patience_counts_looks_since_the_best(dice, patience, ends):
    assert exhausted(dice, patience) is ends


def test_training_ends_and_the_record_says_when_and_what_it_cost(stopped, tiny):
    made, record = stopped
    assert (record.status, record.selection, record.recipe["patience"]) == ("done", "early_stop", 2)
    assert list(record.chosen.dice) == [3, 6, 9] == list(record.chosen.accuracy)
    assert record.chosen.step == 3 and len(set(record.chosen.dice.values())) == 1
    assert all(0 <= share <= 1 for share in record.chosen.accuracy.values())
    assert record.train.items == 9 * TRAIN.batch and record.train.segments == 1
    assert record.validation.items == 3 * len(made.validation)
    assert record.budget.validation_subjects == 1
    assert record.budget.labelled_subjects == 2 + 1  # semi20 of seven, and who was looked at
    assert not (made.folder / "model" / "snapshots").exists() and not (made.folder / "validation").exists()
    told = standing(Unit((), ()), made)
    assert (told.state, told.steps, told.of) == ("done", 9, 24)
    (claimed,) = claims(made.folder, made.folder.parent / "scratch", None)
    broken = {result.rule for result in verify(claimed, 2, Means(tiny.root.parent)) if not result.holds}
    assert broken <= {"commit"}


def test_it_sees_what_a_selection_afterwards_sees_and_no_more(tiny, tmp_path):
    early = run(plan(recipe(patience=1), tiny, tmp_path), Place())
    after = run(plan(recipe("best_val"), tiny, tmp_path), Place())
    steps = list(early.chosen.dice)
    assert early.chosen.dice == {step: after.chosen.dice[step] for step in steps}
    values = list(early.chosen.dice.values())
    assert early.chosen.step == steps[values.index(max(values))]
    assert steps[-1] == TRAIN.steps or exhausted(values, 1)
    assert not any(exhausted(values[:end], 1) for end in range(1, len(values)))


def test_stopped_at_any_look_it_ends_in_the_same_record(stopped, tiny, tmp_path, monkeypatch):
    _, whole = stopped
    made = plan(recipe(**STUCK), tiny, tmp_path)
    look = EarlyStop.__call__
    for at in (6, 9):  # before the checkpoint of that step, once the look was taken

        def cut(self, step, model, at=at):
            found = look(self, step, model)
            if step == at:
                raise KeyboardInterrupt
            return found

        monkeypatch.setattr(EarlyStop, "__call__", cut)
        with pytest.raises(KeyboardInterrupt):
            run(made, Place())
    monkeypatch.setattr(EarlyStop, "__call__", look)
    assert run(made, Place()).core() == whole.core()


def test_a_run_cut_off_after_its_last_look_trains_no_further(stopped, tiny, tmp_path, monkeypatch):
    _, whole = stopped
    made = plan(recipe(**STUCK), tiny, tmp_path)

    def full(*_):
        raise OSError("no space left")

    with monkeypatch.context() as broken, pytest.raises(OSError, match="no space"):
        broken.setattr(EarlyStop, "selected", full)
        run(made, Place())
    assert run(made, Place()).core() == whole.core()


def test_patience_is_no_part_of_a_recipe_without_it(tiny, tmp_path):
    assert "patience" not in plain(recipe("last", patience=3))
    asked = Choice(dataset="acdc", preset="cpu", settings=("selection=early_stop", "patience=5"))
    found = resolve(asked, False)
    assert (found.train.snapshots, found.patience) == (10, 5)
    with pytest.raises(BenchError, match="patience = 0"):
        recipe(patience=0)
    with pytest.raises(BenchError, match="early_stop nothing to select from"):
        recipe(snapshots=0)
    few = tiny_dataset(tmp_path / "data" / "tiny", 4)
    freeze_default(few)
    with pytest.raises(BenchError, match="no validation subject"):
        plan(recipe(), few, tmp_path / "runs")
