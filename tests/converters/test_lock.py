"""Locks on a disk that several machines share: whose machine is gone, and who comes back from the dead."""

import os
import threading
import time
from pathlib import Path

import msgspec
import pytest

from converters import lock
from converters.errors import EnvironmentFault
from converters.lock import SILENCE, Holder, holder, locked


def held_elsewhere(folder: Path, silent_for: float, *, beats: bool = True) -> Holder:
    """A lock of a machine that is not this one, last touched so many seconds ago."""
    found = Holder(pid=1, host="a-node-far-away", since="2026-01-01 10:00:00", beats=beats)
    (folder / "lock.json").write_bytes(msgspec.json.encode(found))
    then = time.time() - silent_for
    os.utime(folder / "lock.json", (then, then))
    return found


@pytest.mark.fault(72, 87)
def test_the_lock_of_a_machine_that_fell_silent_is_taken_over(tmp_path):
    held_elsewhere(tmp_path, SILENCE + 60)
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert holder(tmp_path).pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(72, 87)
@pytest.mark.parametrize(("silent_for", "beats"), [(SILENCE - 60, True), (10 * SILENCE, False)])
def test_the_lock_of_a_machine_that_may_live_is_left_alone(silent_for, beats, tmp_path):
    found = held_elsewhere(tmp_path, silent_for, beats=beats)
    assert holder(tmp_path) == found
    with pytest.raises(EnvironmentFault, match="process 1 on a-node-far-away"), locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


def test_who_holds_a_lock_shows_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "BEAT", 0.01)
    with locked(tmp_path):
        os.utime(tmp_path / "lock.json", (0, 0))
        end = time.monotonic() + 60
        while (tmp_path / "lock.json").stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.fault(72)
def test_who_was_taken_for_dead_writes_no_end_and_leaves_the_lock_of_the_other(tmp_path):
    with locked(tmp_path) as held:
        held.check()
        other = held_elsewhere(tmp_path, 0)
        with pytest.raises(EnvironmentFault, match="no longer that of this process"):
            held.check()
    assert holder(tmp_path) == other


@pytest.mark.parametrize("moment", ["hardlink_to", "start"])
def test_an_interrupt_while_a_lock_is_taken_leaves_none(moment, tmp_path, monkeypatch):
    owner = Path if moment == "hardlink_to" else threading.Thread
    does = getattr(owner, moment)

    def interrupted(*args, **kwargs):
        does(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, moment, interrupted)
    with pytest.raises(KeyboardInterrupt), locked(tmp_path / "run"):
        raise AssertionError("the block must not begin")
    assert list((tmp_path / "run").iterdir()) == []


def test_a_second_lock_of_one_process_leaves_the_first(tmp_path):
    with locked(tmp_path):
        with pytest.raises(EnvironmentFault, match=f"process {os.getpid()}"), locked(tmp_path):
            raise AssertionError("the block must not begin")
        assert holder(tmp_path).pid == os.getpid()


def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(FileExistsError), locked(tmp_path / "run"):
        raise AssertionError("the block must not begin")
