"""Small folders of pictures on disk, described by a TOML, for tests of `folder`."""

from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from converters.convert import Report, convert
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.source import Options
from converters.volume import read_label

HEAD: Mapping[str, object] = {
    "name": "clinic", "licence": "CC0-1.0", "citation": "Nobody", "modality": "DX", "ndim": 2,
    "images": "images", "masks": "masks",
}  # fmt: skip
SHAPE = (7, 5)  # columns, rows


def picture(seed: int = 0) -> np.ndarray:
    """Greys (columns, rows)."""
    return np.random.default_rng(seed).integers(20, 200, SHAPE).astype(np.uint8)


def mask(*values: int) -> np.ndarray:
    """(columns, rows): the first value in three pixels of a row, the second in two of the next."""
    array = np.zeros(SHAPE, np.uint8)
    for row, value in enumerate(values):
        array[1 : 4 - row, row + 1] = value
    return array


def save(path: Path, pixels: np.ndarray, **how: object) -> Path:
    """Shape: pixels (columns, rows) or (columns, rows, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels.swapaxes(0, 1))).save(path, **how)
    return path


def describe(raw: Path, labels: str = "lesion = 255", **keys: object) -> Path:
    """Write the TOML; a key that is None is left out."""
    said = {key: value for key, value in {**HEAD, **keys}.items() if value is not None}
    lines = [f"{key} = {_written(value)}" for key, value in said.items()]
    path = raw / "frugalseg.toml"
    raw.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "[labels]" if labels else "", labels]), encoding="utf-8")
    return path


def tree(raw: Path, *stems: str, **keys: object) -> Path:
    """Images and masks of these stems, and the TOML."""
    for number, stem in enumerate(stems or ("a", "b")):
        save(raw / "images" / f"{stem}.png", picture(number))
        save(raw / "masks" / f"{stem}.png", mask(255))
    describe(raw, **keys)
    return raw


def converted(raw: Path, out: Path, **options: object) -> Report:
    """The report of the one dataset in it."""
    (report,) = convert("folder", raw, out, options=Options(**options))
    return report


def first(raw: Path, out: Path) -> tuple[Dataset, np.ndarray]:
    """The dataset, and its first label map as (columns, rows)."""
    report = converted(raw, out)
    assert report.failures == []
    dataset = Dataset.load(report.root)
    label = next(case.label for case in dataset.cases if case.label)
    return dataset, read_label(dataset.path(label.file)).array[::-1, ::-1, 0]


def refused(raw: Path, out: Path) -> str:
    """What is wrong with the only case, or with the folder."""
    try:
        report = converted(raw, out)
    except BenchError as error:
        assert not out.exists()
        return str(error)
    assert not list(out.rglob("*.nii.gz"))
    return "\n".join(map(str, report.failures))


def volume(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Write a NIfTI file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    nib.save(image, path)


def _written(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_written(part)}' for key, part in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else str(value)
