"""What lies in a folder, for tests that compare: `from contents import labels, tree`."""

from pathlib import Path

import numpy as np

from converters.dataset import Dataset
from converters.volume import read_label


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of the folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def labels(dataset: Dataset) -> dict[str, np.ndarray]:
    """The label maps of the cases that have one."""
    return {c.id: read_label(dataset.path(c.label.file)).array for c in dataset.cases if c.label is not None}


def facts(view: Dataset) -> dict[str, str | int | float]:
    """What a view says of the protocol that made it."""
    return view.file.bench.parent.protocol
