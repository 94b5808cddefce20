"""Write pictures of a dataset, a view or predictions: slices with label contours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, JSON
from bench.output import print_json, say, track
from converters.errors import BenchError

if TYPE_CHECKING:
    from bench.montage import Layer
    from converters.dataset import Case, Dataset

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=_FOLDER, default=Path("pictures"), show_default=True, help="Folder for the PNG files.")
@click.option("--cases", type=click.IntRange(min=1), default=6, show_default=True, help="So many, evenly spread.")
@click.option("--slices", type=click.IntRange(min=1, max=20), default=5, show_default=True)
@click.option("--dataset", default=None, help="The dataset that predictions belong to; a run folder knows its own.")
@DATA
@JSON
def command(folder: Path, out: Path, cases: int, slices: int, dataset: str | None, data: Path, as_json: bool) -> None:
    """Write one PNG per case of FOLDER: a dataset, a view, a run folder, or a folder of predicted label maps.

    The first row shows the image, the next ones every label map there is for the case, in the colours of the labels.
    """
    subject = _subject(folder, dataset, data)
    chosen = _spread(subject.cases, cases)
    out.mkdir(parents=True, exist_ok=True)
    for case in track(chosen, len(chosen), "pictures"):
        path = out / f"{case.id}.png"
        _picture(subject, case, slices, path)
        if as_json:
            print_json({"case": case.id, "picture": str(path)})
    if not as_json:
        say(f"wrote {len(chosen)} pictures: {out}")


@dataclasses.dataclass(frozen=True)
class Subject:
    """What is to be shown."""

    dataset: "Dataset"
    predictions: Path | None

    @property
    def cases(self) -> list["Case"]:
        """The cases there is something to see of."""
        if self.predictions is None:
            return list(self.dataset.cases)
        return [case for case in self.dataset.cases if (self.predictions / f"{case.id}.nii.gz").is_file()]


def _subject(folder: Path, dataset: str | None, data: Path) -> Subject:
    from bench.locate import locate
    from converters.dataset import Dataset
    from leaderboards.record import Record

    if (folder / "dataset.json").is_file():
        return Subject(Dataset.load(folder), None)
    predictions = folder / "predictions" if (folder / "predictions").is_dir() else folder
    if not any(predictions.glob("*.nii.gz")):
        raise BenchError(
            "neither a dataset nor predictions here",
            where=folder,
            mend="give a folder with dataset.json, a run folder, or a folder of <case>.nii.gz",
        )
    if dataset is None and (folder / "record.json").is_file():
        dataset = Record.load(folder / "record.json").dataset
    if dataset is None:
        raise BenchError("which dataset do these predictions belong to?", where=folder, mend="add --dataset NAME")
    subject = Subject(locate(dataset, data), predictions)
    if not subject.cases:
        raise BenchError(f"no prediction has the name of a case of {dataset}", where=predictions)
    return subject


def _spread(cases: Sequence["Case"], wanted: int) -> list["Case"]:
    count = min(wanted, len(cases))
    return [cases[(2 * i + 1) * len(cases) // (2 * count)] for i in range(count)]


def _picture(subject: Subject, case: "Case", slices: int, path: Path) -> None:
    from bench.montage import Grid, montage
    from converters.files import replacing

    dataset = subject.dataset
    names = {code: name for name, code in dataset.labels.items() if isinstance(code, int)}
    info = dataset.file.bench.label_info
    colours = {code: info[name].colour for code, name in names.items() if name in info}
    grid = Grid(case.geometry.spacing_mm, case.geometry.slice_axis, names, colours)
    sheet = montage(f"{dataset.name}  {case.id}", _layers(subject, case), grid, slices)
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _layers(subject: Subject, case: "Case") -> list["Layer"]:
    from bench.montage import Layer, contrast
    from converters.volume import read_label, read_nifti

    dataset = subject.dataset
    images = {name: read_nifti(dataset.path(image.file)).array for name, image in case.images.items()}
    windows = {name: contrast(image) for name, image in images.items()}
    layers = [Layer(name, image, windows[name]) for name, image in images.items()]
    files = {name: dataset.path(annotation.file) for name, annotation in case.annotations.items()}
    if case.label is not None:
        files = {"label": dataset.path(case.label.file), **files}
    if subject.predictions is not None:
        files["prediction"] = subject.predictions / f"{case.id}.nii.gz"
    first = next(iter(images))
    for name, file in files.items():
        label = read_label(file).array.astype("uint8", copy=False)
        if label.shape != images[first].shape:
            raise BenchError(f"{label.shape} voxels, the image has {images[first].shape}", where=file)
        layers.append(Layer(name, images[first], windows[first], label))
    return layers
