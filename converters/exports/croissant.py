"""Croissant 1.1: croissant.json beside the files that it names, each with its SHA-256.

mlcommons.org/croissant; JSON-LD that catalogues and loaders of data sets read. The files keep their places and names,
and a view holds its images itself. With a split every case is told its side.
"""

from pathlib import Path

from converters.croissant import croissant, local
from converters.dataset import Dataset, Split
from converters.export import copy, whole
from converters.files import Fingerprint, sha256, write_bytes
from converters.written import parts_of


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write the images and label maps of the dataset or view, and what they are."""
    with whole(out) as root:
        files: dict[str, Fingerprint] = {}
        for case in dataset.cases:
            for part in parts_of(case):
                copy(dataset, part, root / local(part.file))
                data = (root / local(part.file)).read_bytes()
                files[local(part.file)] = len(data), sha256(data)
        write_bytes(root / "croissant.json", croissant(dataset, files, split))
