"""What MRBrainS13 and MRBrainS18 share: channels, eight classes, the rule that folds them into three, numbered folders.

Classes and rule: mrbrains13.isi.uu.nl and mrbrains18.isi.uu.nl, page "Data".
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.dataset import IGNORE
from converters.description import Channel, LabelInfo
from converters.errors import BenchError
from converters.files import is_junk, natural_key
from converters.volume import Volume

CHANNELS = (
    Channel(name="t1", modality="MR", sequence="T1"),
    Channel(name="ir", modality="MR", sequence="T1 inversion recovery"),
    Channel(name="flair", modality="MR", sequence="T2 FLAIR"),
)
STRUCTURES = {
    "cortical gray matter": LabelInfo(source_values=(1,), snomed="40146001", colour="#e69f00"),
    "basal ganglia": LabelInfo(source_values=(2,), snomed="32610002", colour="#56b4e9"),
    "white matter": LabelInfo(source_values=(3,), snomed="68523003", colour="#009e73"),
    "white matter lesions": LabelInfo(source_values=(4,), colour="#f0e442"),
    "extracerebral CSF": LabelInfo(source_values=(5,), colour="#0072b2"),
    "ventricles": LabelInfo(source_values=(6,), snomed="35764002", colour="#d55e00"),
    "cerebellum": LabelInfo(source_values=(7,), snomed="113305005", colour="#cc79a7"),
    "brainstem": LabelInfo(source_values=(8,), snomed="15926001", colour="#999999"),
}
CSF, GM, WM = 1, 2, 3  # codes of the three tissues, which are those of LabelsForTesting
FOLDED = {1: GM, 2: GM, 3: WM, 4: WM, 5: CSF, 6: CSF, 7: 0, 8: 0}
_COLOURS = {CSF: "#0072b2", GM: "#e69f00", WM: "#009e73"}
_APART = 0.2  # of the foreground; heads of two people differ by more, two drawings of one head by far less

_TEST, _TRAINING = {"testdata", "test"}, {"trainingdata", "training"}


def tissues(source_values: Callable[[int], tuple[int, ...]]) -> dict[str, LabelInfo]:
    """The three tissues, given which values of the source file mean each code."""
    return {
        name: LabelInfo(source_values=source_values(code), colour=_COLOURS[code])
        for name, code in (("CSF", CSF), ("GM", GM), ("WM", WM))
    }


def folded_from(code: int) -> tuple[int, ...]:
    """The classes, of eight, that one tissue is made of."""
    return tuple(value for value, tissue in FOLDED.items() if tissue == code)


def numbered(labels: Collection[str]) -> dict[str, int | tuple[int, ...]]:
    """Codes from 1 in the order of the names, and background."""
    return {"background": 0, **{name: code for code, name in enumerate(labels, start=1)}}


def fold(label: Volume) -> Volume:
    """The eight classes as CSF 1, GM 2, WM 3; cerebellum and brainstem are background, 255 stays."""
    table = np.zeros(256, np.uint8)
    for value, tissue in FOLDED.items():
        table[value] = tissue
    table[IGNORE] = IGNORE
    return Volume(table[label.array], label.affine)


def known(label: Volume, highest: int, where: Path) -> Volume:
    """The label map as it is.

    Raises:
        BenchError: it holds values above `highest`; 255 too, which would pass for "not annotated".
    """
    counts = np.bincount(label.array.ravel(order="K"), minlength=256)
    if counts[highest + 1 :].any():
        strange = [value for value in np.flatnonzero(counts) if value > highest]
        told = ", ".join(f"{value} ({counts[value]} voxels)" for value in strange)
        raise BenchError(
            f"{where.name}: values outside 0 to {highest}: {told}", where=where, mend="unpack the archive again"
        )
    return label


def check_fold(structures: Volume, three: Volume, where: Path) -> tuple[str, ...]:
    """What a user must know of two maps of one head: how many voxels differ once the eight classes are folded.

    Raises:
        BenchError: they lie on different grids, or differ in more than a fifth of what either calls tissue.
    """
    mend = "the two label files are of different people, or one was turned: unpack the archive again"
    if not structures.same_grid(three):
        raise BenchError("LabelsForTraining and LabelsForTesting lie on different grids", where=where, mend=mend)
    folded, drawn = fold(structures).array, three.array.astype(np.uint8)
    differ = int((folded != drawn).sum())
    either = int((folded.astype(bool) | drawn.astype(bool)).sum())
    if differ > _APART * either:
        raise BenchError(
            f"LabelsForTraining, folded to three tissues, and LabelsForTesting differ in {differ} of {either} voxels",
            where=where,
            mend=mend,
        )
    return (f"the eight classes, folded, and LabelsForTesting differ in {differ} voxels",) if differ else ()


def people(raw: Path, holds: Callable[[Path], bool]) -> Iterator[tuple[Path, bool | None]]:
    """Numbered folders that hold a person's files, and whether they lie in the test part; None: no folder says.

    What lies above the parts may be missing, or be there twice.
    """
    found = [path for depth in range(4) for path in raw.glob("*/" * depth + "*") if path.name.isdecimal()]
    for folder in sorted(found, key=natural_key):
        if folder.is_dir() and not is_junk(folder.relative_to(raw)) and holds(folder):
            yield folder, _is_test(raw, folder)


def _is_test(raw: Path, folder: Path) -> bool | None:
    for part in (*reversed(folder.relative_to(raw).parts[:-1]), raw.name):
        if part.lower() in _TEST | _TRAINING:
            return part.lower() in _TEST
    return None


def once(seen: dict[str, Path], name: str, folder: Path) -> str:
    """The name, noted.

    Raises:
        BenchError: another folder has it already.
    """
    if name in seen:
        raise BenchError(f"person {name} lies there twice", where=folder, mend=f"keep one: {seen[name]}")
    seen[name] = folder
    return name


def excluded(label: Volume, values: dict[int, str]) -> tuple[Volume, tuple[str, ...]]:
    """The label map with these source values as 255, and what was excluded, counted."""
    counts = {what: int((label.array == value).sum()) for value, what in values.items()}
    array: npt.NDArray[np.uint8] = label.array.astype(np.uint8)
    for value in values:
        array[array == value] = IGNORE
    told = ", ".join(f"{count} voxels of {what}" for what, count in counts.items() if count)
    return Volume(array, label.affine), (f"excluded from scoring (255): {told}",) if told else ()
