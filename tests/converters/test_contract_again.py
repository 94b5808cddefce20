"""What every source owes: the same bytes again, elsewhere and otherwise, and of damaged cases no trace."""

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from worlds import SEED, Folder, World, contents, stamps

from converters.check import check
from converters.source import Options, RawCase
from converters.source import found as found_by

TOLD = (".txt", ".cfg", ".csv", ".json", ".toml", ".xls", ".md", ".tsv")  # descriptions, not voxels


# doing it again, elsewhere, otherwise


def test_a_second_conversion_writes_nothing(world: World) -> None:
    before = stamps(world.out)
    assert world.convert() == 0
    assert stamps(world.out) == before


def test_the_order_of_a_folder_changes_no_byte(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir, listdir = os.scandir, os.listdir

    class Backwards:
        """`os.scandir`, in an order that no file system gives."""

        def __init__(self, path: Any = ".") -> None:
            with scandir(path) as entries:
                self.entries = iter(sorted(entries, key=lambda entry: hashlib.md5(entry.name.encode()).digest()))

        def __iter__(self) -> Any:
            return self.entries

        def __next__(self) -> Any:
            return next(self.entries)

        def __enter__(self) -> "Backwards":
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr(os, "scandir", Backwards)
    monkeypatch.setattr(os, "listdir", lambda path=".": sorted(listdir(path), reverse=True))
    assert world.convert(None, tmp_path / "data") == 0
    monkeypatch.undo()
    assert contents(tmp_path / "data") == contents(world.out)


def test_two_workers_write_the_same_bytes(world: World, tmp_path: Path) -> None:
    assert world.convert(None, tmp_path / "data", "--jobs", 2) == 0
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(4)
def test_what_systems_leave_behind_changes_nothing(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    for folder in [path for path in (raw, *raw.rglob("*")) if path.is_dir()]:
        for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
            (folder / name).write_bytes(b"left behind")
        for file in [path for path in folder.iterdir() if path.is_file() and not path.name.startswith("._")][:2]:
            (folder / f"._{file.name}").write_bytes(b"left behind")
    world.copy(raw / "__MACOSX")
    assert world.convert(raw, tmp_path / "data") == 0
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(52)
def test_long_paths_of_other_letters_and_blanks_change_no_byte(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "Zwölf Größen — 心臓 (1)" / ("r" * 120) / ("w" * 120))
    out = tmp_path / "é ü 出力 [x]" / ("o" * 130) / ("t" * 130)
    assert world.convert(raw, out) == 0
    assert contents(out) == contents(world.out)


@pytest.mark.fault(53)
def test_the_raw_folder_is_only_read(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    for path in (raw, *raw.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = stamps(raw)
    assert world.convert(raw, tmp_path / "data") == 0
    assert stamps(raw) == before
    assert contents(tmp_path / "data") == contents(world.out)


@pytest.mark.fault(86)
def test_language_clock_umask_and_hash_seed_change_no_byte(world: World, tmp_path: Path) -> None:
    strange = {"LC_ALL": "C", "LANG": "de_DE.UTF-8", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "4711"}
    code = "import os, sys; os.umask(0o077); from bench.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "convert", world.source, str(world.raw), str(tmp_path / "data")]
    done = subprocess.run(words, env={**os.environ, **strange}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "data") == contents(world.out)


def test_a_dry_run_writes_nothing(world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert world.convert(None, tmp_path / "data", "--dry-run", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["cases"] for one in told] == [len(cases) for _, cases in found_by(world.source, world.raw, Options())]
    assert list(tmp_path.iterdir()) == []


# when something is wrong


def spoilt(world: World, raw: Path) -> tuple[Path, dict[str, list[str]]]:
    """A file of the first case, cut short, and the native ids of those who need it, for each dataset."""
    there = found_by(world.source, raw, Options())
    victim = next(file for file in there[0][1][0].files if file.suffix.lower() not in TOLD)
    victim.chmod(0o644)
    victim.write_bytes(victim.read_bytes()[: victim.stat().st_size * 3 // 5])

    def hit(case: RawCase) -> bool:
        return any(file.samefile(victim) for file in case.files if file.exists())

    return victim, {f"phantom-{info.name}": [c.native_id for c in cases if hit(c)] for info, cases in there}


def test_a_damaged_case_is_named_and_leaves_nothing_and_the_others_convert(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = world.copy(tmp_path / "raw")
    victim, broken = spoilt(world, raw)
    capsys.readouterr()
    assert world.convert(raw, tmp_path / "data") == 3
    told = capsys.readouterr().err
    assert victim.name in told
    for folder in world.folders:
        lost = {case["id"]: case["native_id"] for case in folder.cases if case["native_id"] in broken[folder.root.name]}
        whole = {case["id"] for case in folder.cases} - lost.keys()
        root = tmp_path / "data" / folder.root.name
        left = contents(root) if root.exists() else {}
        assert {path.stem for path in (root / "cases").glob("*.json")} == whole
        # An id may begin with another.
        assert not [n for n in left if any(re.search(rf"/{case}(_\d{{4}})?\.", n) for case in lost)]
        assert not [name for name in left if name.endswith(".tmp")]
        assert all(f"{case}: " in told for case in lost)
        assert all(f"--skip {native}" in told for native in lost.values())
        if whole:
            assert check(root) == []
            assert all(case in " ".join(Folder(root).top["bench"]["warnings"]) for case in lost)
    assert any(broken.values())


def test_what_was_good_before_stays_when_its_source_is_damaged(world: World, tmp_path: Path) -> None:
    raw = world.copy(tmp_path / "raw")
    assert world.convert(raw, tmp_path / "data") == 0
    before = stamps(tmp_path / "data")
    spoilt(world, raw)
    assert world.convert(raw, tmp_path / "data") == 3
    assert stamps(tmp_path / "data") == before


def test_a_conversion_killed_in_the_middle_of_a_write_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    files = min(len(contents(folder.root)) for folder in world.folders)
    code = (
        "import os, pathlib, signal, sys\n"
        "left, replace = [int(sys.argv[1])], pathlib.Path.replace\n"
        "def counted(path, target):\n"
        "    left[0] -= 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL) if left[0] == 0 else None\n"
        "    return replace(path, target)\n"
        "pathlib.Path.replace = counted\n"
        "from bench.cli import main\n"
        "main(sys.argv[2:])\n"
    )
    words = ["convert", world.source, str(world.raw), str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", code, str(files // 2), *words], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    (root,) = (tmp_path / "data").iterdir()  # none other was begun
    assert len(list(root.rglob(".*.tmp"))) == 1
    assert not (root / "dataset.json").exists()
    assert world.convert(None, tmp_path / "data") == 0
    assert contents(tmp_path / "data") == contents(world.out)


def test_the_first_patients_are_the_same_however_many_are_asked_for(world: World) -> None:
    few = set(world.phantom.truth(1, SEED))
    many = {probe for asked in world.truth.values() for probe in asked}
    assert few and few <= many
    assert few != set(world.phantom.truth(1, SEED + 1))
