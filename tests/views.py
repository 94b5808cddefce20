"""Views for tests of training, made in memory: `from views import hide, weights`."""

import dataclasses
from pathlib import Path

import msgspec

from converters.dataset import Dataset


def hide(dataset: Dataset, visible: tuple[str, ...]) -> Dataset:
    """Labels of these subjects only."""
    cases = tuple(c if c.subject in visible else msgspec.structs.replace(c, label=None) for c in dataset.cases)
    return dataclasses.replace(dataset, cases=cases)


def weights(folder: Path) -> bytes:
    """A model's weights as they stand on disk."""
    return (folder / "model.safetensors").read_bytes()
