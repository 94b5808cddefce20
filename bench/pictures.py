"""A picture of a case of a dataset: its channels, and label maps of it on the first one."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from bench.montage import montage
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.tile import Grid, Layer, contrast
from converters.volume import read_label, read_nifti
from leaderboards.record import Record
from leaderboards.summary import counted, family


class Extreme(NamedTuple):
    """A test case that stands for a run."""

    rank: str  # worst, median or best
    case: str
    dice: float  # mean over labels


def picture(
    dataset: Dataset, case: Case, channels: Sequence[str], maps: Mapping[str, Path], slices: int
) -> Image.Image:
    """A row for each channel, then one for each label map.

    Raises:
        BenchError: a label map has not the shape of the image.
    """
    grid = Grid.of(case.geometry, dataset.labels, dataset.file.bench.label_info)
    return montage(f"{dataset.name}  {case.id}", _layers(dataset, case, channels, maps), grid, slices)


def _layers(dataset: Dataset, case: Case, channels: Sequence[str], maps: Mapping[str, Path]) -> list[Layer]:
    images = {name: read_nifti(dataset.path(case.images[name].file)).array for name in channels}
    layers = [Layer(name, image, contrast(image)) for name, image in images.items()]
    first = layers[0]
    for name, file in maps.items():
        label = read_label(file).array.astype("uint8", copy=False)
        if label.shape != first.image.shape:
            raise BenchError(f"{label.shape} voxels, the image has {first.image.shape}", where=file)
        layers.append(Layer(name, first.image, first.window, label))
    return layers


def extremes(record: Record, cases: Iterable[str]) -> list[Extreme]:
    """The worst, the median and the best of these cases by Dice; fewer where there are fewer."""
    wanted = set(cases)
    found: dict[str, list[float]] = {}
    for score in record.cases:
        for definition in score.metrics:
            value = counted(score, definition) if family(definition) == "dice" and score.case in wanted else None
            found.setdefault(score.case, []).extend([] if value is None else [value])
    means = sorted((sum(values) / len(values), case) for case, values in found.items() if values)
    places: dict[int, str] = {}
    for rank, place in (("worst", 0), ("best", len(means) - 1), ("median", (len(means) - 1) // 2)):
        if means:
            places.setdefault(place, rank)
    return [Extreme(places[place], means[place][1], means[place][0]) for place in sorted(places)]


def overlay(dataset: Dataset, case: Case, prediction: Path, slices: int) -> Image.Image:
    """The first channel, the contours of the reference on it, and those of a prediction.

    Raises:
        BenchError: the case has no reference.
    """
    if case.label is None:
        raise BenchError(f"{case.id} has no reference to draw", where=dataset.root)
    maps = {"reference": dataset.path(case.label.file), "prediction": prediction}
    return picture(dataset, case, list(case.images)[:1], maps, slices)
