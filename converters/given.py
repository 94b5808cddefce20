"""Images that no dataset holds: read as those of a dataset are, and what is predicted brought back to their grids."""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.conform import check_grids
from converters.dataset import Case, Dataset
from converters.describe import arranged, describe
from converters.description import FORMAT, Card, DatasetFile
from converters.errors import BenchError
from converters.folder_config import ChannelPlace, FolderConfig
from converters.folder_load import load
from converters.folder_pairs import PICTURES, Found, suffix_of
from converters.inputs import Inputs, in_colours, info_of, preparation_of
from converters.job import Job
from converters.preparation import applied
from converters.prepare_steps import kept
from converters.source import Info, Loaded, Options, RawCase
from converters.sources.folder import frames
from converters.volume import RUNS, Volume, axis_codes, turned, write_nifti

_UNSAID = "-"  # what the description of a folder must say and nobody asks here


@dataclasses.dataclass(frozen=True)
class Given:
    """One examination: for each channel a file or the folder of a DICOM series; a picture in colours for all three."""

    stem: str  # of its name
    files: Mapping[str, Path]
    frame: int | None = None  # of a file of many pictures, from 0

    @property
    def name(self) -> str:
        """Of what is predicted for it."""
        return self.stem if self.frame is None else f"{self.stem}-{self.frame + 1:04d}"

    @property
    def file(self) -> Path:
        """Of the first channel: its grid and its name are those of what is predicted."""
        return next(iter(self.files.values()))


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a person says of the files beside their names."""

    spacing: tuple[float, ...] = ()  # mm along columns, rows (and pages), of files that say none
    series: str | None = None
    allow_gaps: bool = False
    in_mm: bool = False  # the model's grid is in mm, so that an image without millimetres has no place on it

    @property
    def options(self) -> Options:
        """Those that say which files of a DICOM series to take."""
        return Options(series=self.series, allow_gaps=self.allow_gaps)


@dataclasses.dataclass(frozen=True)
class Taken:
    """A given image in the uniform format, and the grid it came on."""

    given: Given
    case: Case
    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]  # of the file, axes in its order
    warnings: tuple[str, ...]


def each_frame(images: Sequence[Given], inputs: Inputs) -> list[Given]:
    """The images, of a file of many pictures one for each, where the model's images are pictures."""
    config = described(inputs, Reading())
    found = []
    for given in images:
        there = all(path.exists() for path in given.files.values())
        count = frames(Found(given.stem, given.files, {}), config) if there else 0
        found += [dataclasses.replace(given, frame=frame) for frame in range(count)] or [given]
    return found


def dataset_of(
    images: Sequence[Given], inputs: Inputs, reading: Reading, root: Path
) -> tuple[Dataset, list[Taken], dict[str, BenchError]]:
    """The images as a dataset without labels in the empty folder `root`, and why others could not be read, by name.

    Voxels, types, orientation, geometry and preparation are made by the code that converts datasets.
    """
    info = info_of(inputs)
    taken: list[Taken] = []
    failures: dict[str, BenchError] = {}
    for number, given in enumerate(images, 1):
        try:
            taken.append(_take(f"given-{number:04d}", given, (info, inputs, reading), root))
        except BenchError as error:
            failures[given.name] = error
    card = Card(
        format=FORMAT,
        ndim=info.ndim,
        version=info.version,
        citation=info.citation,
        source=info.source,
        channels=info.channels,
        label_info=dict(info.label_info),
        content_sha256="",
    )
    file = DatasetFile(
        name=info.name,
        licence=info.licence,
        channel_names={str(number): channel.name for number, channel in enumerate(info.channels)},
        labels=dict(info.labels),
        numTraining=0,
        bench=card,
    )
    return Dataset(root, file, tuple(one.case for one in taken)), taken, failures


def as_given(predicted: Volume, taken: Taken) -> Volume:
    """What was predicted for a case, on the grid of the file it came from.

    Where that was resampled, codes (uint8) come back by nearest voxel, 0 outside; an image (float32) linearly, and
    its values at the edge go on.
    """
    found = turned(predicted, axis_codes(taken.affine))
    own = Volume(found.array, taken.affine)
    if found.shape == taken.shape and found.same_grid(own):
        return own
    from converters.resample import LINEAR, NEAREST, Grid, onto

    rule = NEAREST if found.array.dtype == np.uint8 else LINEAR
    return onto(found, Grid(taken.shape, taken.affine), rule)


def _take(case_id: str, given: Given, like: tuple[Info, Inputs, Reading], root: Path) -> Taken:
    info, inputs, reading = like
    loaded = load_given(given, inputs, reading)
    check_grids(info, loaded)
    if reading.in_mm and inputs.spacing_known and not loaded.spacing_known:
        raise BenchError(
            f"{given.file.name} says nothing of millimetres, and the model's grid is in mm",
            where=given.file,
            mend="give --spacing COLUMNS,ROWS in mm",
        )
    own = next(iter(loaded.images.values()))
    raw = RawCase(case_id, case_id, (), partial(_same, loaded))
    if inputs.preparation:
        ((info, (raw,)),) = applied([(info, [raw])], preparation_of(inputs))
        loaded = raw.load()
    job = Job(root, root, info, raw)
    volumes = arranged(job, loaded)
    case = describe(job, loaded, volumes, ())
    for file, volume in volumes.items():
        write_nifti(root / file, volume)
    return Taken(given, case, own.shape, own.affine, (*case.warnings, *_remarks(case, inputs)))


def load_given(given: Given, inputs: Inputs, reading: Reading) -> Loaded:
    """The voxels of an image, as its files give them.

    Raises:
        BenchError: a file is absent or damaged, says too little, or holds the other kind of image.
    """
    missing = [str(path) for path in given.files.values() if not path.exists()]
    if missing:
        raise BenchError(f"there is no {missing[0]}")
    folders = [path for path in given.files.values() if path.is_dir()]
    if folders and inputs.ndim == 2:
        raise BenchError("a folder, and pictures are wanted", where=folders[0], mend="name the files in it")
    found = Found(given.name, given.files, {})
    loaded = load(found, given.frame, described(inputs, reading), reading.options)
    if not in_colours(inputs):
        return loaded
    return kept(partial(_same, loaded), info_of(inputs), tuple(channel.name for channel in inputs.channels))


def described(inputs: Inputs, reading: Reading) -> FolderConfig:
    """The images of a training as `converters.sources.folder` describes a folder of them."""
    rgb = in_colours(inputs)
    places = {
        channel.name: ChannelPlace(images=_UNSAID, modality=channel.modality, sequence=channel.sequence)
        for channel in inputs.channels
    }
    return FolderConfig(
        name=_UNSAID,
        licence=_UNSAID,
        citation=_UNSAID,
        modality=inputs.channels[0].modality,
        ndim=inputs.ndim,
        images=_UNSAID if rgb else (),
        channels={} if rgb else places,
        rgb=rgb,
        pages="slices" if inputs.ndim == 3 else "frames",
        spacing_mm=reading.spacing,
    )


def _same(loaded: Loaded) -> Loaded:
    return loaded


def _remarks(case: Case, inputs: Inputs) -> list[str]:
    axis = case.geometry.slice_axis
    if inputs.slice_axis in (None, axis):
        return []
    return [f"its slices run {RUNS[axis]}, those of the training {RUNS[inputs.slice_axis]}"]


def is_picture(given: Given) -> bool:
    """Whether the file is a picture, which has columns and rows and no place in space."""
    return all(suffix_of(path) in PICTURES for path in given.files.values())
