"""Fixtures of the tests of `bench`."""

from collections.abc import Callable

import pytest
from tiny import tiny_dataset

from bench import splits
from converters.dataset import Dataset, Split


@pytest.fixture
def dataset_of(tmp_path) -> Callable[..., Dataset]:
    """Makes a tiny dataset of so many subjects in the test's folder."""
    return lambda subjects=10, **how: tiny_dataset(tmp_path / "data" / "tiny", subjects, **how)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> tuple[Dataset, Split]:
    """A tiny dataset of twelve subjects with expert scribbles and its default split: for reading only."""
    dataset = tiny_dataset(tmp_path_factory.mktemp("made") / "data" / "tiny", 12, scribbles=True)
    return dataset, splits.freeze_default(dataset)
