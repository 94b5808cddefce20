"""Made-up volumes that lie somewhere, and datasets of them in memory: `from prepared import blob, found`."""

import dataclasses
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from converters.description import AnnotationSet, Channel, LabelInfo, Source
from converters.errors import BenchError
from converters.source import Info, Loaded, RawCase
from converters.volume import Volume

AFFINE = np.array([[-2.0, 0, 0, 40], [0, -2.0, 0, 30], [0, 0, 3.0, -30], [0, 0, 0, 1]])  # LPS


def blob(shape: tuple[int, int, int] = (40, 34, 20), affine: np.ndarray = AFFINE, contrast: int = 0) -> Volume:
    """Three ellipsoids, no two alike, that lie in the world wherever the grid does."""
    axes = np.meshgrid(*map(np.arange, shape), np.ones(1), indexing="ij")
    x, y, z, _ = affine @ np.stack([axis.ravel().astype(float) for axis in axes])
    array = np.full(x.shape, 20.0)
    for (cx, cy, cz), (rx, ry, rz), values in (
        ((0, 0, 0), (26, 20, 22), (300, 700)),
        ((12, 5, 4), (7, 5, 9), (800, 250)),
        ((-9, -6, -5), (5, 8, 6), (550, 950)),
    ):
        far = ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2
        array += (values[contrast] - array) / (1 + np.exp(np.clip(12 * (far - 1), -50, 50)))
    return Volume(np.rint(array).astype(np.int16).reshape(shape), affine)


def info(name: str = "made-mr", channels: tuple[str, ...] = ("t1",), modality: str = "MR") -> Info:
    """A dataset with one structure of code 1, one of code 3 and scribbles."""
    return Info(
        name=name,
        version="1",
        licence="CC0-1.0",
        citation="nobody",
        source=Source(collection="made up"),
        channels=tuple(Channel(name=channel, modality=modality) for channel in channels),
        labels={"background": 0, "large": 1, "middle": 2, "small": 3},
        label_info={"large": LabelInfo()},
        annotation_sets=(AnnotationSet(id="scribble", kind="scribble", origin="expert", path="annotations/scribble"),),
    )


def raw_case(native: str, images: Mapping[str, Volume], subject: str | None = None, **more: object) -> RawCase:
    """A case that gives these volumes; `more` goes to Loaded."""
    loaded = Loaded(images=images, **more)
    return RawCase(native, subject or native, (Path(f"{native}.nii.gz"),), partial(dataclasses.replace, loaded))


def attempt(case: RawCase) -> str:
    """The error that loading the case ends in."""
    try:
        case.load()
    except BenchError as error:
        return error.what
    return ""
