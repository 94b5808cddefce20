"""Views for tests of training, made in memory: `from views import hide, weights`."""

import dataclasses
from pathlib import Path

import msgspec

from converters.dataset import Dataset


def hide(dataset: Dataset, visible: tuple[str, ...]) -> Dataset:
    """Labels of these subjects only."""
    cases = tuple(c if c.subject in visible else msgspec.structs.replace(c, label=None) for c in dataset.cases)
    return dataclasses.replace(dataset, cases=cases)


def strokes(dataset: Dataset, annotations: str) -> Dataset:
    """An annotation set in place of the labels."""
    cases = tuple(msgspec.structs.replace(case, label=case.annotations[annotations]) for case in dataset.cases)
    return dataclasses.replace(dataset, cases=cases)


def call_noisy(dataset: Dataset, subjects: tuple[str, ...]) -> Dataset:
    """The same labels, those of these subjects not to be trusted."""
    cases = tuple(
        msgspec.structs.replace(c, label=msgspec.structs.replace(c.label, kind="noisy")) if c.subject in subjects else c
        for c in dataset.cases
    )
    return dataclasses.replace(dataset, cases=cases)


def weights(folder: Path) -> bytes:
    """A model's weights as they stand on disk."""
    return (folder / "model.safetensors").read_bytes()
