"""The shape of the code: floors, light imports, sizes, and what must never be in it."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "baselines", "leaderboards", "converters")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
HEAVY = {
    "torch",
    "torchvision",
    "timm",
    "segmentation_models_pytorch",
    "SimpleITK",
    "nibabel",
    "pydicom",
    "scipy",
    "skimage",
}
SAID = (".md", ".toml", ".cff", ".yml", ".yaml", ".json", ".py", "Makefile", "run", ".txt")


def name(path):
    return path.relative_to(ROOT).as_posix()


def committed():
    """Files under version control; where there is none, those of the packages and tests."""
    listing = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    found = [ROOT / line for line in listing.stdout.splitlines()] or [*SOURCES, *(ROOT / "tests").rglob("*.py")]
    return [path for path in found if path.is_file() and path.name.endswith(SAID)]


def fresh(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split("modules:")[1].split())


LOADED = "; import sys; print('modules:', *sys.modules)"


@pytest.mark.parametrize(
    "module",
    [
        "bench.cli",
        "bench.recipe",
        "bench.protocols",
        "bench.zoo",
        "converters.dataset",
        "leaderboards.record",
        "leaderboards.render",
    ],
)
def test_light_modules_load_nothing_heavy(module):
    assert fresh(f"import {module}{LOADED}") & HEAVY == set()


@pytest.mark.parametrize("words", [["--help"], ["ls"], ["run", "--help"], ["ls", "protocols", "--json"]])
def test_light_commands_load_nothing_heavy(words):
    code = f"import contextlib, bench.cli\nwith contextlib.suppress(SystemExit): bench.cli.main({words})\n"
    assert fresh(code + LOADED.removeprefix("; ")) & HEAVY == set()


def test_the_floors_hold():
    pytest.importorskip("importlinter", reason="needs the extra [dev]")
    # A process of its own: here the folders of tests are importable under the names of the packages.
    code = "from importlinter.cli import lint_imports_command as check; check()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "Contracts: 3 kept, 0 broken." in done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_files_and_functions_fit_on_a_screen_or_a_few(path):
    text = path.read_text(encoding="utf-8")
    assert sum(bool(line.strip()) for line in text.splitlines()) <= 250
    long = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno - node.lineno >= 50
    ]
    assert long == []


def test_packages_are_empty_and_no_file_is_a_drawer():
    assert [name(path) for path in SOURCES if path.name == "__init__.py" and path.read_text().strip()] == []
    drawers = {
        "utils.py",
        "util.py",
        "helpers.py",
        "helper.py",
        "base.py",
        "common.py",
        "core.py",
        "misc.py",
        "manager.py",
    }
    assert [name(path) for path in SOURCES if path.name in drawers] == []


def test_every_module_says_what_it_is():
    silent = [
        name(path)
        for path in SOURCES
        if path.name != "__init__.py" and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_no_file_names_a_place_on_somebodys_machine():
    # Written in pieces so that this file does not hold what it looks for.
    places = re.compile("|".join(rf"(?<![\w.~}}-])/{folder}/\w" for folder in ("work", "home", "root", "Users", "tmp")))
    found = {name(path): match[0] for path in committed() if (match := places.search(path.read_text(encoding="utf-8")))}
    assert found == {}


@pytest.mark.fault(83)
def test_nothing_that_runs_code_from_data_is_used():
    unsafe = re.compile(
        r"\bpickle\.loads?\b|allow_pickle=True|trust_remote_code=True|\byaml\.|weights_only=False|(?<![.\w])(eval|exec)\("
    )
    found = {name(path): match[0] for path in SOURCES if (match := unsafe.search(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_no_two_files_of_tests_have_one_name():
    stems = [path.stem for path in committed() if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")]
    assert sorted({stem for stem in stems if stems.count(stem) > 1}) == []
