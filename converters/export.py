"""Exports: a dataset or a view in the format of another tool, written whole or not at all into a new folder.

Every file of `converters/exports/` is one; what they share is here.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from converters import exports, shelf
from converters.alive import sweep
from converters.dataset import IGNORE, Annotation, Case, Dataset, ImageFile, Split
from converters.errors import BenchError, UsageError
from converters.files import write_bytes
from converters.volume import Volume, data_sha256, read_label, read_nifti, write_nifti

_SHOWN = 60  # letters of a name in that of its draft; each may take four of the 255 bytes of a file name
IGNORED = "ignore"  # name of the code that stands for 255 where a format has room for one more


class ExportModule(Protocol):
    """A file of `converters/exports/`. It may hold `notices(dataset, out)`: what to do with the folder, as lines."""

    def export(self, dataset: Dataset, out: Path, split: Split | None) -> None:
        """Write the dataset or view to `out`, which is absent or empty: whole or not at all."""


@dataclasses.dataclass(frozen=True)
class Sides:
    """Which case goes where."""

    train: tuple[Case, ...]  # without a split: all that the organiser did not hold out
    val: tuple[Case, ...]
    test: tuple[Case, ...]
    rest: tuple[Case, ...]  # on no side of the split: exports leave them out


def names() -> list[str]:
    """Every export, which is every file of `converters/exports/`."""
    return shelf.stems(exports)


def find(name: str) -> ExportModule:
    """The export of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    return cast(ExportModule, shelf.module(exports, "export", name))


def export(to: str, dataset: Dataset, out: Path, split: str | None = None) -> tuple[str, ...]:
    """Write the dataset or view in the format `to`; gives what its user has to know, as sentences.

    Raises:
        UsageError: there is no such format, or a view is to be split.
        BenchError: `out` holds something, there is no such split, a file is not the one its sidecar names, or the
            format cannot hold what the dataset is.
    """
    module = find(to)
    if split is not None and dataset.file.bench.parent is not None:
        raise UsageError(
            "a view holds the training side of its split and no other",
            mend="leave --split out; export the dataset itself, with --split, for validation and test",
        )
    chosen = dataset.split(split) if split else None
    module.export(dataset, out, chosen)
    notices = tuple(module.notices(dataset, out)) if hasattr(module, "notices") else ()
    if left_out := len(sides(dataset, chosen).rest):
        notices += (f"{left_out} cases stand on no side of the split {split} and were left out",)
    return notices


@contextlib.contextmanager
def whole(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends well; else nothing of it remains.

    Raises:
        BenchError: `out` is a file, or holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BenchError("the folder is not empty", where=out, mend="give a new one; nothing is written over")
    out = out.resolve()  # what a link leads to is replaced, not the link
    if out == Path.cwd():
        raise BenchError("the folder is the one you stand in", where=out, mend="give the name of a new one")
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep(out.parent, out.name[:_SHOWN])
    temporary = out.with_name(f".{out.name[:_SHOWN]}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        temporary.replace(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def sides(dataset: Dataset, split: Split | None) -> Sides:
    """The cases of every side, in the order of the dataset."""
    if split is None:
        train = tuple(case for case in dataset.cases if folder(case) != "imagesTs")
        return Sides(train, (), tuple(case for case in dataset.cases if folder(case) == "imagesTs"), ())
    named = {*split.train, *split.val, *split.test}
    train, val, test = (dataset.only(side).cases for side in (split.train, split.val, split.test))
    return Sides(train, val, test, tuple(case for case in dataset.cases if case.subject not in named))


def placed(there: Sides) -> Iterator[tuple[Case, str]]:
    """Every case of a side with its room: Tr where it has a label to train with, Ts on the test side, Un else."""
    for case in (*there.train, *there.val):
        yield case, "Un" if case.label is None else "Tr"
    yield from ((case, "Ts") for case in there.test)


def folder(case: Case) -> str:
    """Where the images of the case stand: imagesTr, imagesTs or imagesUn."""
    return Path(next(iter(case.images.values())).file).parent.name


def voxels(dataset: Dataset, part: ImageFile | Annotation) -> Volume:
    """The volume of an image or label file, as it is.

    Raises:
        BenchError: it cannot be read, or does not hold the voxels that its sidecar names.
    """
    path = dataset.path(part.file)
    if not path.is_file():
        raise BenchError(f"{part.file} is missing", where=path.parent, mend="bench check says what else is")
    volume = read_label(path) if isinstance(part, Annotation) else read_nifti(path)
    if data_sha256(volume) != part.data_sha256:
        raise BenchError(
            "the voxels are not those that the sidecar names",
            where=path,
            mend="restore it, convert again, or make the view again",
        )
    return volume


def ignored(dataset: Dataset) -> int | None:
    """The code after the last, which stands for 255 in an export; None where every voxel is annotated.

    Raises:
        BenchError: a structure of the dataset has the name of that code.
    """
    if IGNORED in dataset.labels:
        raise BenchError(f"a structure is called '{IGNORED}'", where=dataset.root, mend="give it another name")
    labels = [case.label for case in dataset.cases if case.label is not None]
    return dataset.classes if any(str(IGNORE) in label.voxels for label in labels) else None


def label(dataset: Dataset, case: Case, ignore: int | None) -> Volume | None:
    """The label map that the dataset or view shows of a case, 255 as `ignore`; None where it shows none.

    Raises:
        BenchError: see `voxels`.
    """
    if case.label is None:
        return None
    volume = voxels(dataset, case.label)
    if ignore is None:
        return volume
    return Volume(np.where(volume.array == IGNORE, np.uint8(ignore), volume.array), volume.affine)


def copy(dataset: Dataset, part: ImageFile | Annotation, to: Path) -> None:
    """The file itself, once its voxels are known to be the right ones.

    Raises:
        BenchError: see `voxels`.
    """
    voxels(dataset, part)
    write_bytes(to, dataset.path(part.file).read_bytes())


def write_label(dataset: Dataset, case: Case, to: Path, ignore: int | None) -> None:
    """The label map, if the case has one, with 255 as `ignore`; the file as it is where there is no 255.

    Raises:
        BenchError: see `voxels`.
    """
    if case.label is None:
        return
    if ignore is None:
        copy(dataset, case.label, to)
    elif (volume := label(dataset, case, ignore)) is not None:
        write_nifti(to, volume)
