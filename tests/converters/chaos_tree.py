"""Ways into a CHAOS tree for the tests: load a case of it, redraw a label."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from converters.files import natural_key
from converters.source import Loaded, Options
from converters.sources import chaos
from converters.volume import Volume

T1, T2, CT = "Train_Sets/MR/1/T1DUAL", "Train_Sets/MR/1/T2SPIR", "Train_Sets/CT/2"


def load(raw: Path, dataset: str, name: str, options: Options = Options()) -> Loaded:  # noqa: B008  # frozen
    return next(case for case in chaos.cases(raw, dataset, options) if case.native_id == name).load()


def labels_of(raw: Path, study: str) -> list[Path]:
    return sorted((raw / study / "Ground").glob("*.png"), key=natural_key)


def redraw(path: Path, change: Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]) -> None:
    Image.fromarray(np.ascontiguousarray(change(np.asarray(Image.open(path))))).save(path)


def place(label: Volume, code: int) -> npt.NDArray[np.float64]:
    """Centroid of a structure in RAS mm: x grows towards the person's right, z towards the head."""
    return label.affine @ [*np.argwhere(label.array == code).mean(axis=0), 1]


def reverse(paths: list[Path]) -> None:
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths, reversed(contents), strict=True):
        path.write_bytes(content)
