"""A large IXI: two jobs, killed twice, and the same bytes in the end; memory that does not grow with the cases.

With IXI_CASES=600 in the environment it is the whole collection's size; `make test` takes 60.
"""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from converters.phantoms import ixi

CASES = int(os.environ.get("IXI_CASES", "60"))
GROWTH = 1.1
KNOWN = 0.03  # MiB of a case in the parent: its paths, what its sidecar says
LOG = logging.getLogger(__name__)  # seen with --log-cli-level=INFO
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def raw_of(folder: Path, cases: int) -> Path:
    ixi.write(folder, cases, 0, ixi.Quirks(contrasts=("T1",)))
    return folder


def start(raw: Path, out: Path) -> subprocess.Popen[bytes]:
    """A conversion by two jobs, in a process group of its own."""
    code = "import sys; from bench.cli import main; main(sys.argv[1:])"
    words = ["convert", "ixi", str(raw), str(out), "--labels", str(raw / "labels"), "--jobs", "2"]
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def members(group: int) -> list[int]:
    """Processes of a group that are alive."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its, *_ = entry.read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(its) == group and state not in "ZX":
            found.append(int(entry.parent.name))
    return found


def peaks(group: int, known: dict[int, int]) -> None:
    """Note the largest resident size of every process of the group so far, in KiB."""
    for process in members(group):
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            continue
        # None when it has ended. The last figure counts: before its exec a child looks as large as its parent.
        if peak := next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0):
            known[process] = peak


def apart(sizes: dict[int, int]) -> tuple[float, float]:
    """Peak MiB of the parent, which was there first, and of the largest of the others."""
    parent = min(sizes)
    return sizes[parent] / 1024, max(kib for process, kib in sizes.items() if process != parent) / 1024


def gone(group: int) -> None:
    """Nobody of the group is left; the server that forks workers hears of the end a moment later."""
    until = time.monotonic() + 10
    while members(group) and time.monotonic() < until:
        time.sleep(0.01)
    assert members(group) == []


def contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def done(out: Path) -> int:
    return len(list((out / "phantom-ixi-t1" / "cases").glob("*.json")))


def killed(raw: Path, out: Path, after: int) -> int:
    """Convert until so many cases are there, then kill parent and workers at once; how many are there now."""
    running = start(raw, out)
    while done(out) < after and running.poll() is None:
        time.sleep(0.002)
    assert running.poll() is None, "it ended before it could be killed"
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    gone(running.pid)
    return done(out)


def whole(raw: Path, out: Path) -> tuple[float, dict[int, int], bytes]:
    """Convert to the end: seconds, peak KiB of each process, stdout."""
    begun = time.monotonic()
    running, sizes = start(raw, out), dict[int, int]()
    while running.poll() is None:
        peaks(running.pid, sizes)
        time.sleep(0.005)
    seconds = time.monotonic() - begun
    told, _ = running.communicate()
    assert running.returncode == 0
    gone(running.pid)
    return seconds, sizes, told


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[int, int]]:
    """The raw folder, what it became in one go, and the peak KiB of each process."""
    folder = tmp_path_factory.mktemp("undisturbed")
    raw, out = raw_of(folder / "raw", CASES), folder / "data"
    seconds, sizes, _ = whole(raw, out)
    size = sum(path.stat().st_size for path in raw.rglob("*") if path.is_file()) / 1e6
    LOG.info("%d cases, %.1f MB, %.1f s, %.2f MB/s; peaks %s", CASES, size, seconds, size / seconds, apart(sizes))
    return raw, out, sizes


def test_killed_twice_it_ends_with_the_bytes_of_an_undisturbed_conversion(
    undisturbed: tuple[Path, Path, dict[int, int]], tmp_path: Path
) -> None:
    raw, wanted, _ = undisturbed
    out = tmp_path / "killed"
    first = killed(raw, out, CASES // 4)
    second = killed(raw, out, CASES * 2 // 3)
    assert CASES // 4 <= first < second < CASES
    assert not (out / "phantom-ixi-t1" / "dataset.json").exists()
    _, _, told = whole(raw, out)
    assert f"{CASES} cases, {second} of them as they were" in told.decode()
    one, other = contents(wanted), contents(out)
    assert one == other
    assert len([name for name in one if name.startswith("phantom-ixi-t1/labelsTr/")]) == CASES
    top = json.loads((out / "phantom-ixi-t1" / "dataset.json").read_text())
    assert top["numTraining"] == CASES


def test_memory_grows_in_the_parent_alone_and_by_what_it_knows_of_a_case(
    undisturbed: tuple[Path, Path, dict[int, int]], tmp_path: Path
) -> None:
    few = max(CASES // 10, 2)
    parent, worker = apart(whole(raw_of(tmp_path / "raw", few), tmp_path / "data")[1])
    parent_of_many, worker_of_many = apart(undisturbed[2])
    LOG.info(
        "%d cases: %d MiB, worker %d; %d cases: %d, %d", few, parent, worker, CASES, parent_of_many, worker_of_many
    )
    assert worker_of_many <= GROWTH * worker
    assert parent_of_many <= GROWTH * parent + KNOWN * CASES
