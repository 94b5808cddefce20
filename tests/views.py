"""Views for tests of training, made in memory: `from views import hide, weights`."""

import dataclasses
from pathlib import Path

import msgspec
from tiny import tiny_dataset

from bench import splits
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


def valued(dataset: Dataset, hidden: tuple[str, ...] = ()) -> Dataset:
    """Sex and age of all but some subjects, told by how large the left ventricle is at end diastole; nothing else."""
    size = {case.subject: float(case.meta["volume_ml"]) for case in dataset.cases if case.meta["phase"] == "ED"}
    middle = sorted(size.values())[len(size) // 2]

    def meta(subject: str) -> dict[str, str | float]:
        return {"sex": "M" if size[subject] >= middle else "F", "age_years": float(round(size[subject] / 10))}

    cases = (msgspec.structs.replace(c, meta={} if c.subject in hidden else meta(c.subject)) for c in dataset.cases)
    return dataclasses.replace(dataset, cases=tuple(cases))


def people(root: Path, **kind: tuple[int, int, int]) -> Dataset:
    """Ten subjects of two cases with a sex and an age, label maps beside, and a default split."""
    dataset = valued(tiny_dataset(root, 10, **kind))
    dataset.save()
    splits.freeze_default(dataset)
    return Dataset.load(root)
