"""Fixtures of the tests of `converters`: a made-up CHAOS tree, the made-up patients of every source, a server."""

import shutil
from pathlib import Path

import pytest
from crooked_server import BODY, Site, serving
from worlds import World

from bench.catalogue import phantoms
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


@pytest.fixture(scope="module", params=phantoms())
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """What each source makes of its made-up patients; a new file in `converters/phantoms/` is asked by itself."""
    return World.make(request.param, tmp_path_factory.mktemp(f"world-{request.param}"))


@pytest.fixture
def no_proxy(monkeypatch):
    """Nobody's own settings."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def site():
    """A crooked server, which serves BODY until it is told otherwise."""
    with serving(Site(BODY)) as one:
        yield one
