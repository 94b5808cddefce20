"""Label maps that a user made with a program of their own: what they mean, declared in labels.toml, and their voxels.

generator = "SynthSeg 2.0"          what drew them
contrasts = ["T1"]                  which images they were drawn on, where their names do not say
background = [0, 24]                source values that are background here; [0] if left out
ignore = [77]                       source values that no metric and no loss may see
[labels]
"white matter" = [2, 41]            name = source value, or a list of them; codes are 1, 2, 3 ... in this order
"""

import re
from collections import Counter
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from converters.dataset import IGNORE
from converters.description import LabelInfo
from converters.errors import BenchError
from converters.files import Strict, is_junk, natural_key
from converters.volume import Volume, read_nifti

NAME = "labels.toml"
_MOST = (1 << 16) - 1  # FreeSurfer counts to 14175
_WORDS = re.compile(r"[\w][\w .,+()/-]{0,79}")
_EXAMPLE = 'generator = "SynthSeg 2.0"\n        [labels]\n        "white matter" = [2, 41]'


class Declared(Strict):
    """labels.toml."""

    generator: str
    labels: dict[str, int | tuple[int, ...]]
    contrasts: tuple[str, ...] = ()
    background: tuple[int, ...] = (0,)
    ignore: tuple[int, ...] = ()

    @property
    def values(self) -> dict[str, tuple[int, ...]]:
        """Source values of each label, in the order of the codes 1, 2, 3 ..."""
        return {name: (value,) if isinstance(value, int) else value for name, value in self.labels.items()}

    @property
    def codes(self) -> dict[str, int]:
        """Our code of each label, background included."""
        return {"background": 0, **{name: code for code, name in enumerate(self.labels, start=1)}}

    @property
    def info(self) -> dict[str, LabelInfo]:
        """What dataset.json says of them."""
        return {name: LabelInfo(source_values=values) for name, values in self.values.items()}

    def meaning(self) -> dict[int, int]:
        """Source value -> our code; 255 for those to ignore."""
        found = dict.fromkeys(self.background, 0) | dict.fromkeys(self.ignore, IGNORE)
        return found | {value: self.codes[name] for name, values in self.values.items() for value in values}


def declared(folder: Path) -> Declared:
    """What labels.toml in the folder says.

    Raises:
        BenchError: it is absent, does not fit, or gives one source value two meanings.
    """
    path = folder / NAME
    if not path.is_file():
        raise BenchError(
            f"there is no {NAME}: nobody knows what the values mean",
            where=folder,
            mend=f"write it:\n        {_EXAMPLE}",
        )
    try:
        told = msgspec.toml.decode(path.read_bytes(), type=Declared)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"{NAME}: {error}", where=path, mend=f"as in:\n        {_EXAMPLE}") from None
    if what := _fault(told):
        raise BenchError(f"{NAME}: {what}", where=path, mend="say what each source value means, once")
    return told


def _fault(told: Declared) -> str | None:
    if broken := [text for text in (told.generator, *told.labels) if not _WORDS.fullmatch(text)]:
        return f"{broken[0][:80]!r} is no plain name (letters, digits, blanks, at most 80)"
    if not told.labels or "background" in told.labels or len(told.labels) >= IGNORE:
        return "[labels] takes 1 to 254 structures; background has a line of its own"
    if empty := [name for name, values in told.values.items() if not values]:
        return f"'{empty[0]}' has no source value"
    count = Counter((*told.background, *told.ignore, *(v for values in told.values.values() for v in values)))
    if twice := [value for value, times in count.items() if times > 1]:
        return f"source value {twice[0]} has two meanings"
    if strange := [value for value in count if not 0 <= value <= _MOST]:
        return f"source value {strange[0]}; 0 to {_MOST} are read"
    return None


def nifti_files(folder: Path) -> list[Path]:
    """Every NIfTI file below the folder."""
    there = (path for path in folder.rglob("*") if path.name.lower().endswith((".nii", ".nii.gz")) and path.is_file())
    return sorted((path for path in there if not is_junk(path.relative_to(folder))), key=natural_key)


def read_map(path: Path, told: Declared) -> Volume:
    """The label map with our codes.

    Raises:
        BenchError: as `read_nifti`, or it holds values that are fractions or that labels.toml does not name.
    """
    volume = read_nifti(path)
    whole = _whole(path, volume.array)
    counts = np.bincount(whole.ravel(order="K"))
    meaning = told.meaning()
    strange = [int(value) for value in np.flatnonzero(counts) if int(value) not in meaning]
    if strange:
        found = ", ".join(f"{value} ({int(counts[value])} voxels)" for value in strange[:10])
        raise BenchError(
            f"{path.name}: {NAME} says nothing of the values {found}{' ...' if len(strange) > 10 else ''}",
            where=path,
            mend="name each under [labels], background or ignore; nothing is guessed",
        )
    table = np.zeros(counts.size, np.uint8)
    for value in np.flatnonzero(counts):
        table[value] = meaning[int(value)]
    return Volume(table[whole], volume.affine)


def _whole(path: Path, array: npt.NDArray[np.generic]) -> npt.NDArray[np.uint16]:
    values = array.astype(np.float64) if array.dtype.kind == "f" else array
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > _MOST:
        raise BenchError(f"{path.name}: label values from {low:g} to {high:g}; 0 to {_MOST} are read", where=path)
    whole = values.astype(np.uint16)
    if broken := int((whole != values).sum()):
        raise BenchError(
            f"{path.name}: {broken} label values are no integers",
            where=path,
            mend="the map was interpolated: take the one on the grid of the image",
        )
    return whole
