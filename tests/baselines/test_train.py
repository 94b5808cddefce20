"""The loop: repeats itself, continues exactly, sees only what the view shows."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest
import torch
from views import hide, weights

from baselines.checkpoint import Progress, load_checkpoint, save_checkpoint
from baselines.config import AugmentConfig
from baselines.meter import Tally
from baselines.train import RefusedError, Setting, train
from converters.errors import BenchError

METHODS = ["supervised", "mean_teacher", "gce"]


@pytest.mark.fault(74)
@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(method, partly, small, tmp_path):
    config = small(method=method)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(partly, config, tmp_path / name, Setting(seed=seed))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


@pytest.mark.fault(69)
@pytest.mark.parametrize("method", METHODS)
def test_a_training_that_was_stopped_ends_with_the_weights_of_one_that_was_not(method, partly, small, tmp_path):
    config = small(method=method)
    train(partly, config, tmp_path / "whole", Setting())

    def interrupt(done: int, steps: int) -> None:
        if done == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(partly, config, tmp_path / "cut", Setting(progress=interrupt))
    assert not (tmp_path / "cut" / "model.safetensors").exists()
    trained = train(partly, config, tmp_path / "cut", Setting())
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")
    assert trained.cost.segments == 2
    assert trained.cost.items == config.steps * config.batch


@pytest.mark.fault(69)
def test_a_killed_process_continues_from_its_last_checkpoint(partly, small, tmp_path):
    config = small(steps=40, checkpoint_every=5)
    train(partly, config, tmp_path / "whole", Setting())
    (tmp_path / "config.json").write_bytes(msgspec.json.encode(config))
    view = dataclasses.replace(partly, root=Path(shutil.copytree(partly.root, tmp_path / "view")))
    view.save()
    code = (
        "import sys, torch, msgspec; from pathlib import Path; from baselines.config import TrainConfig;"
        "from baselines.train import *; from converters.dataset import Dataset; torch.set_num_threads(1);"
        "config = msgspec.json.decode(Path(sys.argv[2]).read_bytes(), type=TrainConfig);"
        "train(Dataset.load(Path(sys.argv[1])), config, Path(sys.argv[3]), Setting())"
    )
    out = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", code, view.root, tmp_path / "config.json", out])
    while not (out / "checkpoint.safetensors").exists() and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    train(partly, config, out, Setting())
    assert weights(out) == weights(tmp_path / "whole")
    assert [msgspec.json.decode(line)["step"] for line in (out / "log.jsonl").open("rb")] == [0, 10, 20, 30, 39]


def test_unannotated_images_change_the_weights_of_a_method_that_uses_them(whole, small, tmp_path):
    config = small(method="mean_teacher", options={"weight": 10.0})
    for name, visible in (("with", whole), ("without", whole.only(whole.subjects[:2]))):
        train(hide(visible, whole.subjects[:2]), config, tmp_path / name, Setting())
    assert weights(tmp_path / "with") != weights(tmp_path / "without")


def test_a_network_learns_the_tiny_heart(whole, small, tmp_path):
    config = small(steps=60, batch=8, patch=(32, 32), optimizer="adamw", lr=0.01, augment=AugmentConfig(noise=0))
    train(whole, config, tmp_path, Setting())
    log = [msgspec.json.decode(line) for line in (tmp_path / "log.jsonl").open("rb")]
    assert log[-1]["dice"] < 0.5 * log[0]["dice"]


def test_volumes_are_learnt_from_too(partly, small, tmp_path):
    config = small(patch=(8, 16, 16), batch=2)
    trained = train(partly, config, tmp_path, Setting())
    assert trained.cost.items == 12


def test_a_group_of_parameters_may_have_its_own_rate(partly, small, tmp_path):
    from safetensors.torch import load_file

    plugin = tmp_path / "halves.py"
    plugin.write_text(
        "from baselines.methods.supervised import Supervised as Parent\n"
        "class Halves(Parent):\n"
        "    def parameter_groups(self):\n"
        "        head = list(self.net.body.decoder.head.parameters())\n"
        "        rest = [p for p in self.net.parameters() if all(p is not h for h in head)]\n"
        "        return [{'params': head, 'lr': 0.0, 'clip': 1.0}, {'params': rest}]\n"
    )
    config = small(method="halves", optimizer="adamw", weight_decay=0.0)
    saved = [load_file(_train(partly, config, tmp_path, plugin, steps) / "model.safetensors") for steps in (1, 4)]
    still = {name for name, value in saved[0].items() if torch.equal(value, saved[1][name])}
    assert {name for name in still if "head" in name} == {name for name in saved[0] if "head" in name}
    assert not any(name.endswith("conv.weight") for name in still)


def _train(view, config, folder, plugin, steps):
    out = folder / f"{steps}"
    train(view, msgspec.structs.replace(config, steps=steps), out, Setting(plugin=plugin))
    return out


@pytest.mark.fault(67)
def test_a_loss_that_is_no_number_stops_the_training_and_names_step_and_cases(partly, small, tmp_path):
    with pytest.raises(BenchError, match="at step 10") as caught:
        train(partly, small(lr=1e30, steps=20, checkpoint_every=20), tmp_path, Setting())
    assert "s0" in caught.value.where
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.fault(67)
def test_no_checkpoint_is_made_of_weights_that_are_no_numbers(partly, small, tmp_path):
    with pytest.raises(BenchError, match="at step 3"):
        train(partly, small(lr=1e30, steps=20, checkpoint_every=4), tmp_path, Setting())
    assert not (tmp_path / "checkpoint.safetensors").exists()


def test_a_view_without_annotation_is_refused_not_failed(partly, small, tmp_path):
    with pytest.raises(RefusedError, match="nothing is annotated"):
        train(hide(partly, ()), small(), tmp_path, Setting())


@pytest.mark.fault(73)
def test_a_checkpoint_of_another_recipe_is_refused(partly, small, tmp_path):
    train(partly, small(), tmp_path, Setting())
    with pytest.raises(BenchError, match="another recipe"):
        train(partly, small(lr=0.5), tmp_path, Setting())


@pytest.mark.fault(73)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(partly, small, tmp_path):
    config = small()
    train(partly, config, tmp_path / "a", Setting())
    whole = weights(tmp_path / "a")
    (tmp_path / "a" / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    (tmp_path / "a" / "model.safetensors").unlink()
    with pytest.warns(UserWarning, match="is damaged, and now called checkpoint-damaged"):
        train(partly, config, tmp_path / "a", Setting())
    assert weights(tmp_path / "a") == whole


@pytest.mark.fault(73, 83)
def test_a_checkpoint_with_code_in_it_does_not_run(partly, small, tmp_path):
    class Evil:
        def __reduce__(self):
            return Path.touch, (tmp_path / "owned",)

    (tmp_path / "m").mkdir()
    for name in ("checkpoint.pt", "checkpoint.safetensors", "checkpoint-previous.safetensors"):
        torch.save({"method": Evil()}, tmp_path / "m" / name)
    with pytest.warns(UserWarning, match="not read: the training begins anew"):
        train(partly, small(), tmp_path / "m", Setting())
    assert not (tmp_path / "owned").exists()


def test_training_outside_the_main_thread_leaves_signals_alone(partly, small, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=train, args=(partly, small(), tmp_path, Setting()))
    thread.start()
    thread.join()
    assert (tmp_path / "model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("patch", "layer"), [((8, 16, 16), "3D max pooling"), ((16, 16), "linear upsampling")])
def test_what_cuda_cannot_repeat_is_refused_before_it_starts(patch, layer, partly, small, tmp_path):
    with pytest.raises(BenchError, match=f"{layer} has no deterministic gradient"):
        train(partly, small(patch=patch), tmp_path / "m", Setting(device="cuda"))
    assert not (tmp_path / "m").exists()


def test_a_checkpoint_does_not_say_how_another_device_computes(tmp_path):
    method = torch.nn.Linear(2, 1)
    saved = torch.optim.AdamW(method.parameters(), fused=True)
    save_checkpoint(tmp_path / "c.pt", method, saved, Progress(step=1, recipe="r", tally=Tally(), parts=1))
    plain = torch.optim.AdamW(method.parameters(), lr=0.5)
    assert load_checkpoint(tmp_path / "c.pt", method, plain, "r").step == 1
    assert [group["fused"] for group in plain.param_groups] == [None] and plain.param_groups[0]["lr"] == 0.001


def test_a_model_at_default_settings_can_be_read_by_a_version_that_knew_fewer(partly, small, tmp_path):
    train(partly, small(), tmp_path, Setting())
    written = msgspec.json.decode((tmp_path / "model.json").read_bytes())
    assert not {"accumulate", "compile", "foreground_by"} & written["config"].keys()
