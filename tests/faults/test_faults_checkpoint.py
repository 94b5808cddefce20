"""Checkpoints that are cut, changed, of another torch, of nobody: the newest whole one is taken, and that is said."""

from pathlib import Path

import pytest
import torch

from baselines.checkpoint import CHECKPOINT, Progress, load_checkpoint, save_checkpoint
from baselines.meter import Tally
from converters.errors import BenchError

OTHER, DAMAGED = "checkpoint-previous.safetensors", "checkpoint-damaged.safetensors"


def trained(step: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """A method after so many steps of AdamW, always the same."""
    torch.manual_seed(0)
    method = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(method.parameters(), lr=0.1)
    for number in range(step):
        optimizer.zero_grad()
        method(torch.randn(4, 3, generator=torch.Generator().manual_seed(number))).square().sum().backward()
        optimizer.step()
    return method, optimizer


def saved(folder: Path, *steps: int) -> Path:
    for step in steps:
        tally = Tally(seconds=0.1 * step, segments=2, step_bins={3: step}, stages={"read": 0.5})
        save_checkpoint(folder / CHECKPOINT, *trained(step), Progress(step=step, recipe="r", tally=tally, parts=2))
    return folder / CHECKPOINT


def state(method: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, object]:
    """Every number of both, exactly."""
    found = {name: (value.dtype, value.tolist()) for name, value in method.state_dict().items()}
    held = optimizer.state_dict()
    moments = {index: {name: value.tolist() for name, value in each.items()} for index, each in held["state"].items()}
    groups = [{**group, "betas": list(group["betas"])} for group in held["param_groups"]]
    return {"method": found, "moments": moments, "groups": groups}


@pytest.mark.fault(73)
@pytest.mark.parametrize("step", [0, 3])
def test_what_was_saved_is_what_is_gone_on_from(tmp_path: Path, step: int) -> None:
    method, optimizer = trained(0)
    found = load_checkpoint(saved(tmp_path, step), method, optimizer, "r")
    assert state(method, optimizer) == state(*trained(step))
    assert (found.step, found.parts, found.tally.step_bins, found.tally.stages) == (step, 2, {3: step}, {"read": 0.5})


@pytest.mark.fault(73)
def test_a_checkpoint_cut_anywhere_or_with_a_byte_changed_anywhere_is_never_taken(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    whole, before = path.read_bytes(), (tmp_path / OTHER).read_bytes()
    cut = [whole[:size] for size in range(0, len(whole), 97)]
    flipped = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :] for at in range(3, len(whole), 41)]
    for data in (*cut, *flipped):
        path.write_bytes(data)
        method, optimizer = trained(0)
        with pytest.warns(UserWarning, match="is damaged"):
            assert load_checkpoint(path, method, optimizer, "r").step == 1
        assert state(method, optimizer) == state(*trained(1))
        assert (tmp_path / DAMAGED).read_bytes() == data and (tmp_path / OTHER).read_bytes() == before


@pytest.mark.fault(73)
def test_the_checkpoint_before_a_damaged_one_is_not_lost_with_the_next(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    path.write_bytes(b"half")
    with pytest.warns(UserWarning, match="is damaged"):
        assert load_checkpoint(path, *trained(0), "r").step == 1
    saved(tmp_path, 3)
    path.write_bytes(b"half again")
    with pytest.warns(UserWarning, match="is damaged"):
        assert load_checkpoint(path, *trained(0), "r").step == 1


@pytest.mark.fault(73)
def test_without_a_whole_checkpoint_it_begins_anew(tmp_path: Path) -> None:
    path = saved(tmp_path, 1, 2)
    for each in (path, tmp_path / OTHER):
        each.write_bytes(each.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="is damaged"):
        assert load_checkpoint(path, *trained(0), "r") is None


@pytest.mark.fault(73)
def test_another_version_of_torch_is_told_and_gone_on_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(torch, "__version__", "1.0.0")
        path = saved(tmp_path, 2)
    method, optimizer = trained(0)
    with pytest.warns(UserWarning, match="torch 1.0.0 wrote"):
        assert load_checkpoint(path, method, optimizer, "r").step == 2
    assert state(method, optimizer) == state(*trained(2))


@pytest.mark.fault(73)
def test_a_checkpoint_that_does_not_fit_is_refused_and_stays(tmp_path: Path) -> None:
    path = saved(tmp_path, 2)
    before = path.read_bytes()
    other = torch.nn.Linear(3, 2)
    with pytest.raises(BenchError, match="does not fit the method"):
        load_checkpoint(path, other, torch.optim.SGD(other.parameters(), lr=0.1), "r")
    assert path.read_bytes() == before
