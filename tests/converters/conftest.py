"""A made-up CHAOS tree, written once, and copies of it to spoil."""

import shutil
from pathlib import Path

import pytest

from converters.phantoms import chaos


@pytest.fixture(scope="session")
def chaos_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MR patients and one CT patient; copied before a test spoils it."""
    root = tmp_path_factory.mktemp("chaos")
    chaos.write(root, 2, 0, chaos.Quirks(ct_names="i"))
    return root


@pytest.fixture
def chaos_raw(chaos_tree: Path, tmp_path: Path) -> Path:
    return shutil.copytree(chaos_tree, tmp_path / "raw")
