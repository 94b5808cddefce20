"""The words of a refusal: `from refusing import refused`."""

from collections.abc import Callable

import pytest

from converters.errors import BenchError


def refused(read: Callable[[], object]) -> str:
    """What is wrong, where reading must fail."""
    with pytest.raises(BenchError) as error:
        read()
    assert error.value.where
    return error.value.what
