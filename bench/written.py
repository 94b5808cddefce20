"""What is written for each image that was predicted, and what is refused before: NIfTI, a picture, or DICOM-SEG."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from converters.errors import BenchError, UsageError
from converters.files import replacing, write_bytes
from converters.folder_load import files_of
from converters.folder_pairs import DICOM, suffix_of
from converters.given import Given, Taken, as_given, is_picture
from converters.inputs import Inputs
from converters.source import Options
from converters.volume import Volume, read_nifti, write_nifti

To = Literal["nifti", "dicomseg", "picture"]
_LABELS = ".nii.gz"


def check_form(images: Sequence[Given], to: To, *, ndim: int, task: str) -> None:
    """Refuse, before anything is computed, what has no label map of this form: a model's task or dimension, an image.

    Raises:
        UsageError: see above.
        EnvironmentFault: the form needs a package that is not installed.
    """
    if to == "nifti":
        return
    from baselines.task import LABELS

    if task != LABELS:
        raise UsageError(
            f"--to {to} is for label maps, and the model predicts the task '{task}'", mend="leave --to out"
        )
    form = _FORMS[to]
    if ndim != form.ndim:
        raise UsageError(form.no_model, mend="--to nifti")
    if odd := [given for given in images if not form.fits(given)]:
        raise UsageError(f"{odd[0].file.name} {form.no_image}", mend="--to nifti")
    if to == "dicomseg":
        from converters.dicom_seg import library

        library()  # said at once where it is not there


def check_room(images: Sequence[Given], out: Path) -> None:
    """Refuse to write where the images lie: what is predicted has their names."""
    if out.resolve() in {path.resolve().parent for given in images for path in given.files.values()}:
        raise UsageError(f"'{out}' holds the images, which would be written over", mend="give --out another folder")


def _is_series(given: Given) -> bool:
    return given.frame is None and (given.file.is_dir() or suffix_of(given.file) in ("", *DICOM))


class _Form(NamedTuple):
    """What a form of label maps is for, and what is said of an image or a model that is not so."""

    fits: Callable[[Given], bool]
    ndim: int
    no_image: str
    no_model: str


_FORMS: dict[str, _Form] = {
    "dicomseg": _Form(
        _is_series,
        3,
        "is no DICOM series, which a segmentation refers to",
        "the model reads single pictures, and a segmentation refers to a DICOM series",
    ),
    "picture": _Form(
        is_picture, 2, "is no picture", "the model reads volumes, and the label map of a volume is no picture"
    ),
}


@dataclasses.dataclass(frozen=True)
class Writer:
    """Writes what was predicted for images, on the grids of their files."""

    out: Path
    to: To
    series: Options  # which files of a DICOM series were taken
    inputs: Inputs
    method: str
    version: str

    def every(self, taken: Sequence[Taken], made: Path, failures: dict[str, BenchError]) -> tuple[Path, ...]:
        """The files that could be written of the predictions in `made`; why others could not is added to `failures`.

        Raises:
            BenchError: not one could be written.
        """
        files: list[Path] = []
        for one in taken:
            try:
                files += self._of(one, made)
            except BenchError as error:
                failures[one.given.name] = error
        if not files:
            raise next(iter(failures.values()))
        return tuple(files)

    def _of(self, one: Taken, made: Path) -> list[Path]:
        """One, or one for each channel where images are predicted."""
        found = sorted([*made.glob(f"{one.case.id}.*"), *made.glob(f"{one.case.id}_*")])
        return [self._file(one, path) for path in found]

    def _file(self, one: Taken, path: Path) -> Path:
        name = one.given.name + path.name.removeprefix(one.case.id)
        if not name.endswith(_LABELS):
            write_bytes(self.out / name, path.read_bytes())
            return self.out / name
        volume = as_given(read_nifti(path), one)
        if self.to == "nifti":
            write_nifti(self.out / name, volume)
            return self.out / name
        stem = name.removesuffix(_LABELS)
        if self.to == "picture":
            return _picture(self.out / f"{stem}.png", volume)
        self._segmentation(self.out / f"{stem}.dcm", volume, one)
        return self.out / f"{stem}.dcm"

    def _segmentation(self, path: Path, volume: Volume, one: Taken) -> None:
        from converters.dicom import read_series
        from converters.dicom_seg import Drawn, write_segmentation

        files = files_of(one.given.file)
        series = read_series(files, series=self.series.series, allow_gaps=self.series.allow_gaps)
        by_code = sorted(self.inputs.labels.items(), key=lambda item: (np.min(item[1]), item[0]))
        structures = {name: code for name, code in by_code if code != 0}
        drawn = Drawn(structures, self.inputs.label_info, f"frugalseg {self.method}", self.version)
        write_segmentation(path, volume, series, drawn)


def _picture(path: Path, volume: Volume) -> Path:
    """The codes as the greys of a PNG, columns and rows as in the picture."""
    from PIL import Image

    with replacing(path) as temporary:
        Image.fromarray(np.ascontiguousarray(volume.array[:, :, 0].T)).save(temporary, format="PNG")
    return path
