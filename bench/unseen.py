"""Prediction for files that no dataset holds: which file is which channel, and what is written for each image."""

import dataclasses
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from converters.errors import BenchError, UsageError
from converters.files import read_json, replacing, write_bytes
from converters.folder_load import files_of
from converters.folder_pairs import DICOM, suffix_of
from converters.given import Given, Reading, Taken, as_given, dataset_of, each_frame, is_picture
from converters.inputs import Inputs, in_colours
from converters.volume import Volume, read_nifti, write_nifti
from leaderboards.record import Cost

if TYPE_CHECKING:
    from baselines.agreement import Agreement
    from baselines.model import ModelSpec
    from baselines.predict import Setting

To = Literal["nifti", "dicomseg", "picture"]
_LABELS = ".nii.gz"


@dataclasses.dataclass(frozen=True)
class Which:
    """What a person says of the files beside their names."""

    spacing: str | None = None  # "0.5,0.5": of files that say nothing of millimetres
    series: str | None = None
    allow_gaps: bool = False

    def reading(self, inputs: Inputs, spec: "ModelSpec") -> Reading:
        """How the files are read for a model.

        Raises:
            UsageError: the spacing is none.
        """
        try:
            spacing = tuple(map(float, self.spacing.split(","))) if self.spacing else ()
        except ValueError:
            spacing = (0.0,)
        if spacing and (len(spacing) != inputs.ndim or not all(0 < mm < 1e4 for mm in spacing)):
            wanted = "X,Y" if inputs.ndim == 2 else "X,Y,Z"
            raise UsageError(f"'{self.spacing}' is no spacing", mend=f"give {wanted} in mm")
        return Reading(spacing, self.series, self.allow_gaps, isinstance(spec.config.grid, tuple))


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a person wants of the images."""

    words: tuple[str, ...]  # as typed: paths, or channel=path
    to: To
    which: Which
    setting: "Setting"
    check: int | None = None  # of so many images the label maps are made in float32 as well


@dataclasses.dataclass(frozen=True)
class Done:
    """What became of the images."""

    images: int  # that were asked for
    cost: Cost
    files: tuple[Path, ...]
    warnings: tuple[str, ...]
    failures: Mapping[str, BenchError]  # of images that could not be read or written, by name; the others are predicted
    checked: "Agreement | None"


def predict_given(model: Path, out: Path, wanted: Wanted) -> Done:
    """Predict every image that can be read, and write what was predicted on the grid of its file.

    Raises:
        UsageError: the words name no images, or the images are none of the wanted form.
        EnvironmentFault: the form needs a package that is not installed.
        BenchError: no image at all could be read or written, or the model cannot be read.
    """
    from baselines.agreement import with_float32
    from baselines.inputs import read_inputs
    from baselines.model import read_spec
    from baselines.predict import predict

    inputs, spec = read_inputs(model), read_spec(model)
    reading = wanted.which.reading(inputs, spec)
    images = each_frame(named(wanted.words, inputs), inputs)
    _check_form(images, wanted.to)
    _check_room(images, out)
    with tempfile.TemporaryDirectory(prefix="frugalseg-") as scratch:
        dataset, taken, failures = dataset_of(images, inputs, reading, Path(scratch) / "images")
        if not taken:
            raise next(iter(failures.values()))
        made = Path(scratch) / "predictions"
        cost = predict(model, dataset, dataset.cases, made, wanted.setting)
        checked = None
        if wanted.check:
            checked = with_float32(model, dataset, dataset.cases[: wanted.check], made, wanted.setting)
        write = _Writing(out, wanted, inputs, spec.config.method, _version(model))
        files = _written(write, taken, made, failures)
    warnings = tuple(f"{one.given.name}: {told}" for one in taken for told in one.warnings)
    return Done(len(images), cost, files, warnings, failures, checked)


def _written(
    write: "_Writing", taken: Sequence[Taken], made: Path, failures: dict[str, BenchError]
) -> tuple[Path, ...]:
    """Every file that could be written; why others could not is added to `failures`."""
    files: list[Path] = []
    for one in taken:
        try:
            files += write(one, made)
        except UsageError:
            raise  # holds for every image
        except BenchError as error:
            failures[one.given.name] = error
    if not files:
        raise next(iter(failures.values()))
    return tuple(files)


def named(words: Sequence[str], inputs: Inputs) -> list[Given]:
    """The images that the words of a command line name.

    A word is the file, or the folder of a DICOM series, of one image; where the model reads several channels, each is
    `channel=path`, and an image is complete when all its channels have been named, in any order.

    Raises:
        UsageError: a channel is missing, given twice or unknown.
    """
    channels = tuple(channel.name for channel in inputs.channels)
    if in_colours(inputs):
        found = [{"image": Path(word)} for word in words]
    elif len(channels) == 1:
        found = [{channels[0]: Path(word)} for word in words]
    else:
        found = _grouped(words, channels)
    names = _distinct([next(iter(files.values())) for files in found])
    return [Given(name, files) for name, files in zip(names, found, strict=True)]


def _grouped(words: Sequence[str], channels: tuple[str, ...]) -> list[dict[str, Path]]:
    mend = f"for each image: {' '.join(f'{channel}=FILE' for channel in channels)}"
    found: list[dict[str, Path]] = []
    for word in words:
        channel, equals, path = word.partition("=")
        if not equals or channel not in channels:
            raise UsageError(f"'{word}' names no channel; the model reads {', '.join(channels)}", mend=mend)
        if not found or len(found[-1]) == len(channels):
            found.append({})
        if channel in found[-1]:
            missing = ", ".join(sorted(set(channels) - found[-1].keys()))
            raise UsageError(f"channel {channel} comes twice before there is one for {missing}", mend=mend)
        found[-1][channel] = Path(path)
    if found and len(found[-1]) < len(channels):
        missing = ", ".join(sorted(set(channels) - found[-1].keys()))
        raise UsageError(f"the last image has no file for {missing}", mend=mend)
    return [{channel: files[channel] for channel in channels} for files in found]


def _distinct(paths: Sequence[Path]) -> list[str]:
    """The name of each file or folder; where two are the same, with the folders above, as many as it takes."""
    whole = [path.resolve() for path in paths]
    most = max(len(path.parts) for path in whole)
    for depth in range(1, most + 1):
        names = ["-".join(_parts(path)[-depth:]) for path in whole]
        if len(set(names)) == len(names):
            return names
    twice = next(path for path, count in Counter(whole).items() if count > 1)
    raise UsageError(f"{twice.name} is given twice", mend="name each image once")


def _parts(path: Path) -> list[str]:
    suffix = suffix_of(path)
    return [*path.parts[1:-1], path.name[: len(path.name) - len(suffix)]]


def _check_form(images: Sequence[Given], to: To) -> None:
    """Refuse, before anything is computed, images that have no label map of this form."""
    if to == "dicomseg":
        from converters.dicom_seg import library

        library()  # said at once where it is not there
        strange = [given for given in images if not _is_series(given)]
        what, mend = "is no DICOM series, which a segmentation refers to", "--to nifti"
    else:
        strange = [given for given in images if to == "picture" and not is_picture(given)]
        what, mend = "is no picture", "--to nifti"
    if strange:
        raise UsageError(f"{next(iter(strange[0].files.values())).name} {what}", mend=mend)


def _check_room(images: Sequence[Given], out: Path) -> None:
    """Refuse to write where the images lie: what is predicted has their names."""
    if out.resolve() in {path.resolve().parent for given in images for path in given.files.values()}:
        raise UsageError(f"'{out}' holds the images, which would be written over", mend="give --out another folder")


def _is_series(given: Given) -> bool:
    path = next(iter(given.files.values()))
    return given.frame is None and (path.is_dir() or suffix_of(path) in ("", *DICOM))


def _version(model: Path) -> str:
    """The first digits of the digest by which records name the weights."""
    from baselines.export import PARITY, Parity
    from converters.files import sha256

    if (model / "model.safetensors").is_file():
        return sha256((model / "model.safetensors").read_bytes())[:12]
    return read_json(model / PARITY, Parity).model_sha256[:12]


@dataclasses.dataclass(frozen=True)
class _Writing:
    """Writes what was predicted for an image."""

    out: Path
    wanted: Wanted
    inputs: Inputs
    method: str
    version: str

    def __call__(self, one: Taken, made: Path) -> list[Path]:
        """The files that were written: one, or one for each channel where images are predicted."""
        found = sorted([*made.glob(f"{one.case.id}.*"), *made.glob(f"{one.case.id}_*")])
        return [self._file(one, path) for path in found]

    def _file(self, one: Taken, path: Path) -> Path:
        name = one.given.name + path.name.removeprefix(one.case.id)
        if not name.endswith(_LABELS):
            write_bytes(self.out / name, path.read_bytes())
            return self.out / name
        volume = as_given(read_nifti(path), one)
        if self.wanted.to == "nifti":
            write_nifti(self.out / name, volume)
            return self.out / name
        if volume.array.dtype != np.uint8:
            raise UsageError("what this model predicts is no label map", mend="--to nifti")
        stem = name.removesuffix(_LABELS)
        if self.wanted.to == "picture":
            return _picture(self.out / f"{stem}.png", volume)
        self._segmentation(self.out / f"{stem}.dcm", volume, one)
        return self.out / f"{stem}.dcm"

    def _segmentation(self, path: Path, volume: Volume, one: Taken) -> None:
        from converters.dicom import read_series
        from converters.dicom_seg import Drawn, write_segmentation

        files = files_of(next(iter(one.given.files.values())))
        which = self.wanted.which
        series = read_series(files, series=which.series, allow_gaps=which.allow_gaps)
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
