"""Trainings of stages that are stopped, killed or changed: the same weights, the same models along the way."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from contents import tree
from staged import TWO
from views import weights

from baselines.train import Setting, train
from converters.errors import BenchError


def _cut_at(step):
    def interrupt(done: int, steps: int) -> None:
        if done == step:
            os.kill(os.getpid(), signal.SIGINT)

    return interrupt


@pytest.mark.fault(69)
@pytest.mark.parametrize("step", [2, 3, 5], ids=["in the first", "at the end of the first", "in the second"])
def test_a_training_stopped_in_any_stage_ends_with_the_same_weights(step, scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    config = small(method=name)
    train(scribbles, config, tmp_path / "whole", Setting(plugin=path))
    with pytest.raises(KeyboardInterrupt):
        train(scribbles, config, tmp_path / "cut", Setting(plugin=path, progress=_cut_at(step)))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    trained = train(scribbles, config, tmp_path / "cut", Setting(plugin=path))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert trained.cost.items == 24
    logs = [(tmp_path / name / "log.jsonl").read_bytes() for name in ("cut", "whole")]
    assert logs[0] == logs[1]


class Killed(BaseException):
    """Stands in for a process that is gone in this moment."""


@pytest.mark.fault(69)
@pytest.mark.parametrize("moment", ["save_model", "run_leg", "relabelled"])
def test_a_training_gone_between_stages_ends_with_the_same_weights(
    moment, scribbles, small, tmp_path, plugin, monkeypatch
):
    name, path = plugin(TWO)
    config = small(method=name)
    train(scribbles, config, tmp_path / "whole", Setting(plugin=path))

    def gone(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if moment == "run_leg":
            from baselines import train as module

            real, calls = module.run_leg, []
            patch.setattr(module, "run_leg", lambda leg: gone() if calls else (calls.append(1), real(leg))[1])
        else:
            patch.setattr(f"baselines.train.{moment}", gone)
        with pytest.raises(Killed):
            train(scribbles, config, tmp_path / "cut", Setting(plugin=path))
    train(scribbles, config, tmp_path / "cut", Setting(plugin=path))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert tree(tmp_path / "cut" / "second" / "view") == tree(tmp_path / "whole" / "second" / "view")


def test_a_killed_process_goes_on_in_its_stage(scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    config = small(method=name, steps=40, checkpoint_every=5)
    train(scribbles, config, tmp_path / "whole", Setting(plugin=path))
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(config))
    code = (
        "import sys, torch, msgspec; from pathlib import Path; from baselines.config import TrainConfig;"
        "from baselines.train import *; from converters.dataset import Dataset; torch.set_num_threads(1);"
        "config = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=TrainConfig);"
        "train(Dataset.load(Path(sys.argv[1])), config, Path(sys.argv[3]), Setting(plugin=Path(sys.argv[4])))"
    )
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, scribbles.root, tmp_path / "config.json", out, path])
    while not (out / "second").exists() and process.poll() is None:
        time.sleep(0.005)
    process.kill()
    process.wait()
    train(scribbles, config, out, Setting(plugin=path))
    assert weights(out) == weights(tmp_path / "whole")


def test_a_checkpoint_or_view_of_another_training_is_refused(scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    train(scribbles, small(method=name), tmp_path / "m", Setting(plugin=path))
    with pytest.raises(BenchError, match="another recipe"):
        train(scribbles, small(method=name, lr=0.5), tmp_path / "m", Setting(plugin=path))
    shutil.rmtree(tmp_path / "m" / "first")
    with pytest.raises(BenchError, match="another dataset or view"):
        train(scribbles, small(method=name, lr=0.5), tmp_path / "m", Setting(plugin=path))


@pytest.mark.parametrize("count", [1, 3, 4])
def test_models_are_kept_along_the_way_and_change_nothing(count, partly, small, tmp_path):
    train(partly, small(steps=7), tmp_path / "plain", Setting())
    trained = train(partly, small(steps=7, snapshots=count), tmp_path / "kept", Setting())
    assert sorted(trained.snapshots) == [math.ceil(7 * k / count) for k in range(1, count + 1)]
    assert weights(tmp_path / "kept") == weights(tmp_path / "plain") == weights(trained.snapshots[7])
    train(partly, small(steps=7), tmp_path / "whole", Setting())
    assert len({weights(folder) for folder in trained.snapshots.values()}) == count


def test_models_along_the_way_are_those_of_an_undisturbed_training(partly, small, tmp_path):
    config = small(steps=8, snapshots=4, checkpoint_every=3)
    whole = train(partly, config, tmp_path / "whole", Setting())
    with pytest.raises(KeyboardInterrupt):
        train(partly, config, tmp_path / "cut", Setting(progress=_cut_at(5)))
    cut = train(partly, config, tmp_path / "cut", Setting())
    assert whole.snapshots.keys() == cut.snapshots.keys() == {2, 4, 6, 8}
    assert all(weights(cut.snapshots[step]) == weights(folder) for step, folder in whole.snapshots.items())


def test_of_several_stages_the_last_one_keeps_models(scribbles, small, tmp_path, plugin):
    name, path = plugin(TWO)
    trained = train(scribbles, small(method=name, snapshots=2), tmp_path / "m", Setting(plugin=path))
    assert sorted(trained.snapshots) == [5, 6]
    assert weights(trained.snapshots[6]) == weights(tmp_path / "m")
