"""What the machine does to a conversion: kills, full disks, a second process, many cases."""

import contextlib
import errno
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from acdc_tree import INFO, acdc_tree, save
from contents import tree

from converters.check import check
from converters.convert import convert
from converters.errors import EnvironmentFault
from converters.lock import Holder, locked

PROGRAM = "import sys; from bench.cli import main; main(sys.argv[1:])"
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def start(*words: object) -> subprocess.Popen[bytes]:
    """`bench ...` in a session of its own."""
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def members(session: int) -> list[int]:
    """Living processes of a session."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            state, _, _, its, *_ = entry.read_text().rpartition(")")[2].split()
            if int(its) == session and state not in "ZX":
                found.append(int(entry.parent.name))
    return found


def wait_until(true: Callable[[], object], seconds: float = 30) -> None:
    """Fails when it does not come."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@needs_proc
def test_workers_end_when_their_parent_is_killed_in_the_middle_of_a_case(tmp_path: Path) -> None:
    # A case that waits: its source is a pipe into which nobody writes.
    raw = acdc_tree(tmp_path / "raw", (1, 2))
    for path in raw.rglob("*_gt.nii.gz"):
        path.unlink()
        os.mkfifo(path)
    parent = start("convert", "acdc", raw, tmp_path / "data", "--jobs", 2)
    try:
        wait_until(lambda: len(members(parent.pid)) >= 5)  # two workers, forkserver, resource tracker
        time.sleep(0.3)
        parent.kill()
        parent.wait()
        wait_until(lambda: members(parent.pid) == [], 10)
    finally:
        for process in members(parent.pid):
            os.kill(process, signal.SIGKILL)


@pytest.mark.fault(69)
@needs_proc
def test_a_conversion_killed_at_random_times_ends_with_the_same_bytes(chaos_tree: Path, tmp_path: Path) -> None:
    words = ("convert", "chaos", chaos_tree)
    began = time.monotonic()
    assert start(*words, tmp_path / "whole").wait() == 0
    whole = time.monotonic() - began
    chance, killed = random.Random(7), 0
    for _ in range(4):
        parent = start(*words, tmp_path / "data", "--jobs", 2)
        with contextlib.suppress(subprocess.TimeoutExpired):
            parent.wait(chance.uniform(0.4, 1.0) * whole)
        killed += parent.poll() is None
        parent.kill()
        parent.wait()
    assert killed
    assert start(*words, tmp_path / "data", "--jobs", 2).wait() == 0
    assert tree(tmp_path / "data") == tree(tmp_path / "whole")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def holds(folder: Path, **who: object) -> None:
    holder = Holder(**{"host": socket.gethostname(), "since": "2026-01-01 10:00:00", **who})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lock.json").write_bytes(msgspec.json.encode(holder))


@pytest.mark.fault(72)
def test_a_folder_that_another_process_is_at_is_refused(bench, tmp_path: Path, other) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    holds(tmp_path / "data" / "acdc", pid=other.pid)
    before = tree(tmp_path / "data")
    done = bench("convert", "acdc", raw, tmp_path / "data")
    assert done.code == 4
    assert f"process {other.pid} on {socket.gethostname()} has been at work here since 2026-01-01 10:00:00" in done.err
    assert tree(tmp_path / "data") == before
    holds(tmp_path / "data" / "acdc", pid=other.pid, host="another-machine")
    assert bench("convert", "acdc", raw, tmp_path / "data").code == 4


@pytest.mark.fault(72)
@needs_proc
@pytest.mark.parametrize("left", ["dead", "used again", "half"])
def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path, other, left: str) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    root = tmp_path / "data" / "acdc"
    holds(root, pid=other.pid, born="1")  # the pid lives, but began at another time
    if left == "dead":
        other.kill()
        other.wait()
        holds(root, pid=other.pid)
    elif left == "half":
        (root / "lock.json").write_bytes(b'{"pid": 12')
    (report,) = convert("acdc", raw, tmp_path / "data")
    assert report.cases == 2
    assert [path.name for path in root.iterdir() if "lock" in path.name] == []


@pytest.mark.fault(72)
def test_of_many_at_once_one_holds_the_lock(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom converters.errors import EnvironmentFault\n"
        "from converters.lock import locked\nfolder = Path(sys.argv[1])\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try:\n    with locked(folder):\n        (folder / 'in').open('a').write('+')\n        time.sleep(0.5)\n"
        "except EnvironmentFault:\n    pass\n"
    )
    holds(tmp_path / "it", pid=2**22 + 1)  # of a process that cannot be
    at = time.time() + 1
    many = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "it", str(at)]) for _ in range(6)]
    assert [process.wait() for process in many] == [0] * 6
    assert (tmp_path / "it" / "in").read_text() == "+"
    assert [path.name for path in (tmp_path / "it").iterdir()] == ["in"]


@pytest.mark.fault(72, 87)
def test_without_hard_links_the_lock_still_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError(errno.EPERM, "as exFAT says")

    monkeypatch.setattr(os, "link", no_links)
    with locked(tmp_path):
        assert (tmp_path / "lock.json").is_file()
    holds(tmp_path, pid=other.pid)
    with pytest.raises(EnvironmentFault, match=f"process {other.pid} "), locked(tmp_path):
        pass


def test_a_draft_that_the_holder_swept_away_is_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other) -> None:
    def swept(draft: str, _: object) -> None:
        Path(draft).unlink()
        raise FileNotFoundError(errno.ENOENT, "no such file", draft)

    holds(tmp_path, pid=other.pid)
    monkeypatch.setattr(os, "link", swept)
    with pytest.raises(EnvironmentFault, match=f"process {other.pid} "), locked(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["lock.json"]


@pytest.mark.fault(71)
def test_a_disk_without_room_is_told_before_anything_is_written(
    bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    blob = bytes(2_000_000)
    for path in raw.rglob("*frame??.nii.gz"):
        path.write_bytes(blob)  # not read for the estimate
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000_000))
    done = bench("convert", "acdc", raw, tmp_path / "data")
    assert done.code == 4
    assert "the disk has 1 MB free; about 4 MB will be written at the least" in done.err
    assert not (tmp_path / "data").exists()


@pytest.mark.fault(71)
def test_a_disk_that_fills_up_loses_nothing_and_the_rest_comes_later(
    bench, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    raw = acdc_tree(tmp_path / "raw", (1, 2))
    assert bench("convert", "acdc", raw, tmp_path / "whole").code == 0
    for kilobytes in range(16, 160, 16):
        out = small_disk(kilobytes) / "data"
        done = bench("convert", "acdc", raw, out)
        if done.code == 0:
            break
        assert done.code == 4, done.err
        assert "disk" in done.err or "No space left" in done.err
        assert not [path.name for path in out.rglob("*") if ".tmp" in path.name or path.name == "lock.json"]
        for name, data in tree(out / "acdc").items():
            if name.startswith(("cases/", "images", "labels")):
                assert data == (tmp_path / "whole" / "acdc" / name).read_bytes()
    assert bench("convert", "acdc", raw, small_disk(4000) / "data").code == 0
    assert tree(out) == tree(tmp_path / "whole")
    assert check(out / "acdc") == []


@pytest.mark.fault(71)
def test_a_disk_without_room_for_the_lock_is_told_and_keeps_what_it_has(
    bench, tmp_path: Path, small_disk: Callable[[int], Path]
) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    out = small_disk(4000) / "data"
    assert bench("convert", "acdc", raw, out).code == 0
    before = tree(out)
    with contextlib.suppress(OSError), (out.parent / "rest").open("wb") as rest:
        while rest.write(bytes(4096)):
            rest.flush()
    done = bench("convert", "acdc", raw, out)
    assert done.code == 4
    assert "the disk is full" in done.err and str(out / "acdc") in done.err and "mend" in done.err
    assert tree(out) == before


@needs_proc
def test_memory_does_not_grow_with_the_cases(tmp_path: Path) -> None:
    few, many = (peak_mib(tmp_path / str(patients), patients) for patients in (1, 20))
    assert many < 1.1 * few, (few, many)


def peak_mib(folder: Path, patients: int) -> float:
    """Of a conversion of twice as many cases, 1.5 MB of voxels each: 57 MB more if they were kept."""
    raw = folder / "raw"
    for number in range(1, patients + 1):
        patient = f"patient{number:03d}"
        home = raw / "database" / "training" / patient
        home.mkdir(parents=True)
        (home / "Info.cfg").write_text(INFO.format(es=8))
        for frame in (1, 8):
            label = np.zeros((216, 256, 9), np.uint8)
            label[60:90, 60:120, number % 9] = 1 + frame % 3
            save(home / f"{patient}_frame{frame:02d}.nii.gz", label.astype(np.int16) * 100 + number)
            save(home / f"{patient}_frame{frame:02d}_gt.nii.gz", label)
    # VmHWM, since ru_maxrss also counts what the process was before it became this program.
    code = "import sys\nfrom bench.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
    code += "    print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    command = [sys.executable, "-c", code, "convert", "acdc", raw, folder / "data"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-2]) / 1024
