"""Strange surroundings: paths, read-only folders, clocks, languages, files of the current folder, other users."""

import ast
import ctypes
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from acdc_tree import acdc_tree
from outcomes import core
from tiny import tiny_dataset
from worlds import contents

from baselines.pack import packed
from bench.splits import freeze_default
from leaderboards.record import Record

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bench", "baselines", "leaderboards", "converters")
PROGRAM = Path(sys.executable).parent / "bench"
QUICK = [
    *("--preset", "demo", "--device", "cpu", "--deterministic", "--protocol", "semi20"),
    *("--set", "train.steps=2", "--set", "train.patch=[16,16]", "--set", "train.batch=2", "--set", "train.threads=1"),
    *("--set", "train.net={widths=[4,8],dropout=[0,0]}"),
]


def mortal() -> None:
    """Take from root what lets it write where nobody may; nothing happens to others."""
    for capability in (1, 2):  # DAC_OVERRIDE, DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP: in force from the next exec on


def read_only(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)


def ran(data: Path, runs: Path, cache: Path, code: str = "", **environment: str) -> Record:
    """One short run in a process of its own."""
    start = f"{code}\nimport sys; from bench.cli import main; main(sys.argv[1:])"
    words = ["run", "--data", data, "--runs", runs, "--dataset", "tiny", *QUICK]
    done = subprocess.run(
        [sys.executable, "-c", start, *map(str, words)],
        env={**os.environ, "BENCH_CACHE": str(cache), **environment},
        preexec_fn=mortal,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (path,) = runs.rglob("record.json")
    return Record.load(path)


STRANGE = {
    **{"LC_ALL": "C", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711"},
    "OMP_NUM_THREADS": "4",  # what decides numbers is train.threads
}
BACKWARDS = """
import os, time
os.umask(0o077)
now = [4e9]
def back():
    now[0] -= 1000
    return now[0]
time.time = back
"""


@pytest.mark.slow
@pytest.mark.fault(52, 53, 74, 86)
def test_a_run_gives_the_same_scores_in_strange_surroundings(tmp_path: Path) -> None:
    """Read-only data, long paths of other letters, a clock that runs backwards, another language, zone and umask."""
    freeze_default(tiny_dataset(tmp_path / "data" / "tiny", 6, shape=(16, 16, 3)))
    plain = ran(tmp_path / "data", tmp_path / "runs", tmp_path / "cache")
    strange = tmp_path / ("Zwölf Größen — 心臓 (1) " + "x" * 60) / ("y" * 190)
    strange.mkdir(parents=True)
    data = (tmp_path / "data").rename(strange / "data")
    read_only(data)
    before = contents(data)
    other = ran(data, strange / "läufe", strange / "cache", BACKWARDS, **STRANGE)
    assert core(other) == core(plain)
    assert min(other.train.seconds, other.predict.seconds) > 0
    assert contents(data) == before
    assert list((strange / "cache").iterdir())
    pages = tables(tmp_path / "runs", tmp_path / "pages", LC_ALL="C.UTF-8", OMP_NUM_THREADS="1")
    assert tables(tmp_path / "runs", strange / "pages", BACKWARDS, **STRANGE) == pages and len(pages) == 5


TABLES = """
import sys
from bench.cli import main
for ending in ("csv", "html", "json", "md", "tex"):
    try:
        main(["table", sys.argv[1], "--out", f"{sys.argv[2]}/t.{ending}"])
    except SystemExit as left:
        assert not left.code, left.code
"""


def tables(runs: Path, out: Path, code: str = "", **environment: str) -> dict[str, bytes]:
    """The table of a folder of runs in every format, made in a process of its own."""
    line = [sys.executable, "-c", code + TABLES, str(runs), str(out)]
    done = subprocess.run(line, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return contents(out)


@pytest.mark.fault(53)
def test_an_output_folder_that_nobody_may_write_is_the_fault_of_the_machine(tmp_path: Path) -> None:
    raw = acdc_tree(tmp_path / "raw", (1,))
    (tmp_path / "data").mkdir()
    read_only(tmp_path / "data")
    words = [PROGRAM, "convert", "acdc", raw, tmp_path / "data"]
    done = subprocess.run(words, preexec_fn=mortal, capture_output=True, text=True, check=False)
    assert done.returncode == 4, done.stderr
    assert done.stderr.count("you may not write here") == 1 and str(tmp_path / "data") in done.stderr
    assert "--skip" not in done.stderr and "Traceback" not in done.stderr
    assert not list((tmp_path / "data").iterdir())


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    """Dotted name and node of every call."""
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def imported(tree: ast.AST) -> set[str]:
    """First part of every import."""
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


@pytest.mark.fault(83)
@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_read_that_could_run_code(package: str) -> None:
    """No pickles, no YAML, no code from data: the formats are JSON, TOML, safetensors and pictures."""
    found = []
    for path in (ROOT / package).rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = path.relative_to(ROOT).as_posix()
        found += [(name, module) for module in imported(tree) & {"yaml", "marshal", "shelve", "dill", "joblib"}]
        for called, node in calls(tree):
            words = {word.arg: ast.unparse(word.value) for word in node.keywords}
            unsafe = {
                "eval": True,
                "exec": True,
                "np.load": words.get("allow_pickle") != "False",
                "torch.load": words.get("weights_only") != "True",
                "pickle.load": True,
                "pickle.loads": True,
            }
            if unsafe.get(called) or "True" in (words.get("trust_remote_code"), words.get("allow_pickle")):
                found.append((name, ast.unparse(node)))
    assert found == []


@pytest.mark.fault(83)
def test_numbers_that_numpy_has_packed_are_no_images(bench, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    raw = acdc_tree(tmp_path / "raw", (1,))
    image = next(raw.rglob("patient001_frame01.nii.gz"))
    with image.open("wb") as out:
        np.save(out, np.array([Evil()]), allow_pickle=True)
    done = bench("convert", "acdc", raw, tmp_path / "data")
    assert done.code == 3 and "is not gzipped" in done.err
    assert not (tmp_path / "ran").exists()


@pytest.mark.fault(84)
@pytest.mark.parametrize("jobs", [1, 2])
def test_no_file_of_the_current_folder_is_taken_for_a_library(tmp_path: Path, jobs: int) -> None:
    here = tmp_path / "here"
    names = ["signal", "numpy", "random", "click", "msgspec", "isal", "converters/__init__", "sources/mine", "focal"]
    for name in names:
        path = here / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + ' ')\n")
    raw = acdc_tree(tmp_path / "raw", (1, 2))
    words = [PROGRAM, "convert", "acdc", raw, tmp_path / "data", "--jobs", jobs]
    done = subprocess.run(list(map(str, words)), cwd=here, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for words in ([PROGRAM, "convert", "mine", raw, tmp_path / "other"], [PROGRAM, "ls"]):
        subprocess.run(list(map(str, words)), cwd=here, capture_output=True, check=False)
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()


@pytest.mark.fault(86)
def test_durations_come_from_a_clock_that_cannot_be_set_back() -> None:
    """`time.time` says how old a file is, and nothing else."""
    found = set()
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            if {"time.time", "datetime.now", "datetime.utcnow", "datetime.datetime.now"} & {
                name for name, _ in calls(tree)
            }:
                found.add(path.relative_to(ROOT).as_posix())
    assert found <= {"baselines/pack.py", "bench/commands/cache.py"}


def arrays():
    yield "a", np.arange(6, dtype=np.uint8)


@pytest.mark.fault(87)
def test_nothing_of_a_shared_cache_may_be_changed_by_others(tmp_path: Path) -> None:
    before = os.umask(0o000)
    try:
        packed(tmp_path / "cache", {"of": "this"}, arrays)
    finally:
        os.umask(before)
    for path in (tmp_path / "cache").rglob("*"):
        assert not stat.S_IMODE(path.stat().st_mode) & stat.S_IWOTH, path


OTHER = """
import mmap, os, sys  # what lies in another's home folder is imported before
from pathlib import Path
import numpy as np
from baselines.pack import packed
os.setgid(65534); os.setuid(65534)
def make():
    raise AssertionError("made again")
    yield
print(packed(Path(sys.argv[1]), {"of": "this"}, make)["a"].tolist())
"""


@pytest.mark.fault(87)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_another_user_reads_the_cache_and_cannot_spoil_it(tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents):
        if not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(0o755)
    packed(tmp_path / "cache", {"of": "this"}, arrays)
    before = contents(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", OTHER, str(tmp_path / "cache")], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == json.dumps([0, 1, 2, 3, 4, 5]), done.stderr
    assert contents(tmp_path / "cache") == before
