"""Prediction for files that no dataset holds: which file is which channel, and what became of each image."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.written import To, Writer, check_form, check_room
from converters.errors import BenchError, UsageError
from converters.files import read_json
from converters.folder_pairs import suffix_of
from converters.given import Given, Reading, dataset_of, each_frame
from converters.inputs import Inputs, in_colours
from leaderboards.record import Cost

if TYPE_CHECKING:
    from baselines.agreement import Agreement
    from baselines.model import ModelSpec
    from baselines.predict import Setting


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
        UsageError: the words name no images, or images or model have no label map of the wanted form.
        EnvironmentFault: the form needs a package that is not installed.
        BenchError: no image at all could be read or written, or the model cannot be read.
    """
    from baselines.agreement import with_float32
    from baselines.inputs import read_inputs
    from baselines.model import read_spec
    from baselines.predict import predict

    inputs, spec = read_inputs(model), read_spec(model)
    reading = wanted.which.reading(inputs, spec)
    images = named(wanted.words, inputs)
    check_form(images, wanted.to, ndim=inputs.ndim, task=spec.task)
    check_room(images, out)
    with tempfile.TemporaryDirectory(prefix="frugalseg-") as scratch:
        dataset, taken, failures = dataset_of(images, inputs, reading, Path(scratch) / "images")
        if not taken:
            raise next(iter(failures.values()))
        made = Path(scratch) / "predictions"
        cost = predict(model, dataset, dataset.cases, made, wanted.setting)
        checked = None
        if wanted.check:
            checked = with_float32(model, dataset, dataset.cases[: wanted.check], made, wanted.setting)
        write = Writer(out, wanted.to, reading.options, inputs, spec.config.method, _version(model))
        files = write.every(taken, made, failures)
    warnings = tuple(f"{one.given.name}: {told}" for one in taken for told in one.warnings)
    return Done(len(images), cost, files, warnings, failures, checked)


def named(words: Sequence[str], inputs: Inputs) -> list[Given]:
    """The images that the words of a command line name, each by a name of its own.

    A word is the file, or the folder of a DICOM series, of one image; where the model reads several channels, each is
    `channel=path`, and an image is complete when all its channels have been named, in any order. Of a file of many
    pictures each is an image, where the model reads pictures.

    Raises:
        UsageError: a channel is missing, given twice or unknown, or two images would have one name.
    """
    channels = tuple(channel.name for channel in inputs.channels)
    if in_colours(inputs):
        found = [{"image": Path(word)} for word in words]
    elif len(channels) == 1:
        found = [{channels[0]: Path(word)} for word in words]
    else:
        found = _grouped(words, channels)
    return _apart(each_frame([Given("", files) for files in found], inputs))


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


def _apart(images: Sequence[Given]) -> list[Given]:
    """Named by their files or folders; where two names are the same, with the folders above, as many as it takes."""
    paths = [given.file.resolve() for given in images]
    depths = range(1, max(len(path.parts) for path in paths) + 1)
    tried = [_named(images, paths, depth) for depth in depths]
    apart = [found for found in tried if len({given.name for given in found}) == len(found)]
    by_file = (found for found in apart if len({given.stem for given in found}) == len(set(paths)))
    if apart:
        return next(by_file, apart[0])  # the latter of a.tif with several pages and a.png, in one folder
    first, second = _of_one_name(tried[-1])
    if first.file.resolve() == second.file.resolve():
        raise UsageError(f"{second.file.name} is given twice", mend="name each image once")
    name = dataclasses.replace(second, stem=_parts(second.file)[-1]).name
    raise UsageError(
        f"{first.file.name} and {second.file.name} would both be predicted as {name}",
        where=second.file.parent,
        mend="predict them one after the other, each with an --out of its own",
    )


def _named(images: Sequence[Given], paths: Sequence[Path], depth: int) -> list[Given]:
    stems = ["-".join(_parts(path)[-depth:]) for path in paths]
    return [dataclasses.replace(given, stem=stem) for given, stem in zip(images, stems, strict=True)]


def _of_one_name(images: Sequence[Given]) -> tuple[Given, Given]:
    seen: dict[str, Given] = {}
    return next((seen[one.name], one) for one in images if seen.setdefault(one.name, one) is not one)


def _parts(path: Path) -> list[str]:
    suffix = suffix_of(path)
    return [*path.parts[1:-1], path.name[: len(path.name) - len(suffix)]]


def _version(model: Path) -> str:
    """The first digits of the digest by which records name the weights."""
    from baselines.export import PARITY, Parity
    from converters.files import sha256

    if (model / "model.safetensors").is_file():
        return sha256((model / "model.safetensors").read_bytes())[:12]
    return read_json(model / PARITY, Parity).model_sha256[:12]
