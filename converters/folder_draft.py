"""A TOML to start from, of what lies in a folder that nobody has described yet; what cannot be seen is left as dots."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from converters.errors import BenchError
from converters.files import natural_key
from converters.folder_pairs import NIFTI, PICTURES, SUFFIXES, suffix_of

_IMAGES = ("images", "image", "imgs", "img", "imagestr", "scans")
_MASKS = ("masks", "mask", "labels", "label", "labelstr", "segmentations", "segmentation", "annotations", "gt")
_LOOKED_AT = 3
_MOST = 12


def draft(raw: Path) -> str:
    """The text of a TOML, with the values that the first masks hold."""
    images, masks = _folder(raw, _IMAGES), _folder(raw, _MASKS)
    flat = any(suffix_of(path) in PICTURES for path in _files(raw / images))
    lines = [
        f'name = "{"".join(c if c.isascii() and c.isalnum() else "-" for c in raw.resolve().name.lower()).strip("-")}"',
        'licence = "..."  # SPDX, such as "CC-BY-4.0"',
        'citation = "..."',
        'modality = "..."  # DICOM\'s: "CT", "MR", "DX", "US"',
        f"ndim = {2 if flat else 3}",
        f'images = "{images or "..."}"',
        f'masks = "{masks or "..."}"',
        "",
        "[labels]  # a name for each value that is no background",
        *(
            _label(number, value, count)
            for number, (value, count) in enumerate(_values(raw / masks) if masks else (), 1)
        ),
    ]
    return "\n".join(lines) + "\n"


def _label(number: int, value: str, count: int) -> str:
    return f"structure-{number} = {value}  # {count} pixels in the first masks"


def _folder(raw: Path, names: Sequence[str]) -> str:
    there = sorted((path for path in raw.glob("*") if path.is_dir()), key=natural_key)
    return next((path.name for name in names for path in there if path.name.lower() == name), "")


def _files(folder: Path) -> list[Path]:
    return sorted((path for path in folder.rglob("*") if path.suffix and suffix_of(path) in SUFFIXES), key=natural_key)


def _values(masks: Path) -> list[tuple[str, int]]:
    found: Counter[str] = Counter()
    for path in _files(masks)[:_LOOKED_AT]:
        try:
            found.update(dict(_counted(path)))
        except BenchError:  # converting will say what is wrong with it
            continue
    # The commonest value is background; a draft offers the others.
    found.pop("0", None)
    found.pop('"#000000"', None)
    return sorted(found.most_common(_MOST), key=lambda pair: natural_key(pair[0]))


def _counted(path: Path) -> Iterator[tuple[str, int]]:
    if suffix_of(path) in NIFTI:
        from converters.volume import read_nifti

        array = read_nifti(path).array
    elif suffix_of(path) in PICTURES:
        from converters.pictures import read_picture

        array = read_picture(path)
    else:
        return
    if array.ndim == 4:
        colours, counts = np.unique(array.reshape(-1, 3), axis=0, return_counts=True)
        for (red, green, blue), count in zip(colours, counts, strict=True):
            yield f'"#{red:02x}{green:02x}{blue:02x}"', int(count)
    else:
        for value, count in zip(*np.unique(array, return_counts=True), strict=True):
            yield f"{value:g}", int(count)
