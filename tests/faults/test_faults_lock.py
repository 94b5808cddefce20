"""One folder, one owner: who is refused is told by whom, and of many who find a dead one's lock one takes it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from converters import lock
from converters.alive import born, lives
from converters.errors import EnvironmentFault
from converters.lock import SILENCE, Holder, holder, locked

NOBODY = 2**22 + 1  # a number that no process has
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def left_by(path: Path, silent_for: float = 0.0, **who: object) -> Holder:
    """A lock file, last touched so many seconds ago."""
    found = Holder(**{"pid": NOBODY, "host": socket.gethostname(), "since": "2026-01-01 10:00:00", **who})
    path.write_bytes(msgspec.json.encode(found))
    then = time.time() - silent_for
    os.utime(path, (then, then))
    return found


@pytest.mark.fault(72)
@needs_proc
def test_a_number_that_another_process_has_by_now_keeps_no_lock(tmp_path: Path, other) -> None:
    assert lives(other.pid) and lives(os.getpid(), born(os.getpid()))
    assert not lives(NOBODY) and not lives(2**64) and not lives(other.pid, "1")
    left_by(tmp_path / "lock.json", pid=other.pid, born="1")
    with locked(tmp_path):
        assert holder(tmp_path).pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(72)
@needs_proc
def test_of_another_machine_with_the_same_name_only_silence_tells(tmp_path: Path) -> None:
    """Containers and cloned machines share names, and their numbers of processes mean nothing to each other."""
    left_by(tmp_path / "lock.json", machine="another start", beats=True)
    with pytest.raises(EnvironmentFault, match=f"process {NOBODY} "), locked(tmp_path):
        pass
    left_by(tmp_path / "lock.json", SILENCE + 60, machine="another start", beats=True, pid=os.getpid())
    with locked(tmp_path):
        pass


@pytest.mark.fault(72)
def test_who_died_in_taking_a_lock_over_is_succeeded_like_any_other(tmp_path: Path) -> None:
    dead = left_by(tmp_path / "lock.json")
    guard = tmp_path / f".lock.{lock.digest(['lock.json', dead])[:16]}.tmp"
    left_by(guard, since="2026-01-01 10:00:01")
    with locked(tmp_path):
        assert holder(tmp_path).pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(72)
def test_who_is_just_taking_a_lock_over_is_not_disturbed(tmp_path: Path, other) -> None:
    dead = left_by(tmp_path / "lock.json")
    left_by(tmp_path / f".lock.{lock.digest(['lock.json', dead])[:16]}.tmp", pid=other.pid)
    with pytest.raises(EnvironmentFault, match=f"process {other.pid} "), locked(tmp_path):
        pass
    assert lock._read(tmp_path / "lock.json") == dead


MANY = """
import os, random, sys
from pathlib import Path
from converters.errors import EnvironmentFault
from converters.lock import locked
folder, chance = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
def once(dies):
    try:
        with locked(folder):
            try:
                os.close(os.open(folder / "busy", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                os._exit(9)  # two at once
            with (folder / "turns").open("a") as turns:
                turns.write("+")
            (folder / "busy").unlink()
            if dies:
                os._exit(0)
    except EnvironmentFault:
        pass
    os._exit(0)
for _ in range(40):
    dies = chance.random() < 0.7
    child = os.fork()
    if child == 0:
        once(dies)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit("two at once")
"""


@pytest.mark.fault(72)
def test_of_many_who_find_the_lock_of_a_dead_one_there_is_never_more_than_one_owner(tmp_path: Path) -> None:
    line = [sys.executable, "-c", MANY, str(tmp_path)]
    many = [subprocess.Popen([*line, str(number)], stderr=subprocess.PIPE) for number in range(4)]
    said = [process.communicate(timeout=120)[1].decode() for process in many]
    assert [process.returncode for process in many] == [0] * 4, said
    assert len((tmp_path / "turns").read_text()) >= 40
    with locked(tmp_path):
        pass
    assert {path.name for path in tmp_path.iterdir() if not path.name.startswith(".lock.")} == {"turns"}
