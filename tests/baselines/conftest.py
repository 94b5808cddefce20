"""Fixtures of the tests of `baselines`: small views, a small recipe, a method in a file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import tiny_dataset
from views import hide

from baselines.config import NetConfig, TrainConfig
from bench import protocols, splits
from bench.views import view
from converters.dataset import Dataset

SMALL = NetConfig(widths=(4, 8), dropout=(0.0, 0.0))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small() -> Callable[..., TrainConfig]:
    """A recipe for a training of a second."""

    def make(**changes: object) -> TrainConfig:
        fixed = {"net": SMALL, "steps": 6, "batch": 4, "patch": (16, 16), "deterministic": True, "checkpoint_every": 3}
        return TrainConfig(**{**fixed, **changes})

    return make


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Dataset:
    """Six subjects, all annotated."""
    return tiny_dataset(tmp_path_factory.mktemp("whole"), 6, scribbles=True)


@pytest.fixture(scope="session")
def partly(whole) -> Dataset:
    """The same, with the labels of the last four subjects hidden."""
    return hide(whole, whole.subjects[:2])


@pytest.fixture
def plugin(tmp_path):
    """Writes a method file and gives its name and path."""

    def write(code: str) -> tuple[str, Path]:
        name = code.rpartition("class ")[2].partition("(")[0].lower()
        path = tmp_path / "plugins" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(code, encoding="utf-8")
        return name, path

    return write


@pytest.fixture(scope="module")
def scribbles(tmp_path_factory):
    """A view of eight subjects' scribbles."""
    folder = tmp_path_factory.mktemp("scribbles")
    dataset = tiny_dataset(folder / "tiny", 8, scribbles=True)
    return view(dataset, splits.freeze_default(dataset), protocols.parse("scribble"), 0, folder / "view")
