"""Fixtures of the tests of `bench`."""

from collections.abc import Callable

import pytest
from tiny import tiny_dataset

from converters.dataset import Dataset


@pytest.fixture
def dataset_of(tmp_path) -> Callable[..., Dataset]:
    """Makes a tiny dataset of so many subjects in the test's folder."""
    return lambda subjects=10, **how: tiny_dataset(tmp_path / "data" / "tiny", subjects, **how)
