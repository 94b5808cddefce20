"""Write pictures of a dataset, a view or predictions: slices with label contours."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.options import DATA, JSON
from bench.output import print_json, say, track
from converters.errors import BenchError, UsageError

if TYPE_CHECKING:
    from PIL import Image

    from converters.dataset import Case, Dataset

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("folder", type=_FOLDER)
@click.option("--out", type=_FOLDER, default=Path("pictures"), show_default=True, help="Folder for the PNG files.")
@click.option("--cases", type=click.IntRange(min=1), default=6, show_default=True, help="So many, evenly spread.")
@click.option("--slices", type=click.IntRange(min=1, max=20), default=5, show_default=True)
@click.option("--dataset", default=None, help="The dataset that predictions belong to; a run folder knows its own.")
@click.option("--extremes", is_flag=True, help="Of a run: its worst, median and best test case by Dice, and no other.")
@DATA
@JSON
def command(
    folder: Path, out: Path, cases: int, slices: int, dataset: str | None, extremes: bool, data: Path, as_json: bool
) -> None:
    """Write one PNG per case of FOLDER: a dataset, a view, a run folder, or a folder of predicted label maps.

    The first row shows the image, the next ones every label map there is for the case, in the colours of the labels.
    """
    subject = _subject(folder, dataset, data)
    if extremes:
        written = _extreme(folder, subject, slices, out)
    else:
        chosen = _spread(subject.cases, cases)
        written = [(case.id, out / f"{case.id}.png") for case in chosen]
        for case, (_, path) in track(zip(chosen, written, strict=True), len(chosen), "pictures"):
            _picture(subject, case, slices, path)
    for name, path in written if as_json else ():
        print_json({"case": name, "picture": str(path)})
    if not as_json:
        say(f"wrote {len(written)} pictures: {out}")


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
    from bench.pictures import picture

    dataset = subject.dataset
    maps = {name: dataset.path(annotation.file) for name, annotation in case.annotations.items()}
    if case.label is not None:
        maps = {"label": dataset.path(case.label.file), **maps}
    if subject.predictions is not None:
        maps["prediction"] = subject.predictions / f"{case.id}.nii.gz"
    _save(picture(dataset, case, list(case.images), maps, slices), path)


def _extreme(folder: Path, subject: Subject, slices: int, out: Path) -> list[tuple[str, Path]]:
    """Case and file of the worst, the median and the best prediction of a run."""
    from bench.pictures import extremes, overlay
    from leaderboards.record import Record

    if subject.predictions is None or not (folder / "record.json").is_file():
        raise UsageError("--extremes needs a run folder: record.json and predictions", mend="leave it out")
    cases = {case.id: case for case in subject.cases if case.label is not None}
    written = []
    for one in extremes(Record.load(folder / "record.json"), cases):
        prediction = subject.predictions / f"{one.case}.nii.gz"
        path = out / f"{one.rank}.png"
        _save(overlay(subject.dataset, cases[one.case], prediction, slices), path)
        written.append((one.case, path))
    return written


def _save(sheet: "Image.Image", path: Path) -> None:
    from converters.files import replacing

    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")
