"""What a source file gives the driver: who it is (`Info`) and its cases (`RawCase`), found and named."""

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol, cast

from converters import sources
from converters.description import AnnotationSet, Channel, LabelInfo, Source
from converters.errors import unknown_name
from converters.volume import Volume


@dataclasses.dataclass(frozen=True)
class PublishedSplit:
    """A split of the literature, by native subject; written where all its subjects are there."""

    name: str
    source: str  # the paper or repository that uses it
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    draws: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Info:
    """What is true of a dataset before any file is opened."""

    name: str
    version: str
    licence: str
    citation: str
    source: Source
    channels: tuple[Channel, ...]
    labels: Mapping[str, int | tuple[int, ...]]  # with background 0
    label_info: Mapping[str, LabelInfo]
    ndim: Literal[2, 3] = 3
    annotation_sets: tuple[AnnotationSet, ...] = ()
    nsd_tolerances_mm: tuple[float, ...] = (1.0, 2.0)
    splits: tuple[PublishedSplit, ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()  # native subjects whose images are known to be the same in the collection


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One case's voxels as the files give them: any orientation, channels in order, labels with our codes."""

    images: Mapping[str, Volume]  # channel name -> volume
    label: Volume | None = None
    annotations: Mapping[str, Volume] = dataclasses.field(default_factory=dict)  # 255 = not annotated
    acquisition: Mapping[str, Mapping[str, str | float]] = dataclasses.field(default_factory=dict)
    stack_axis: int | None = None  # array axis along which the slices were stacked, if the source knows
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RawCase:
    """One case found in a raw folder; `load` reads it, in a worker process (so: a partial of a module function)."""

    native_id: str
    subject: str
    files: tuple[Path, ...]
    load: Callable[[], Loaded]
    meta: Mapping[str, str | float] = dataclasses.field(default_factory=dict)
    held_out: bool = False  # the organiser's test set: imagesTs


class SourceModule(Protocol):
    """A file of `converters/sources/`."""

    INFO: tuple[Info, ...]

    def cases(self, raw: Path, dataset: str) -> Iterator[RawCase]:
        """The cases of one of its datasets; none if the raw folder holds none."""


def names() -> list[str]:
    """Every source, which is every file of `converters/sources/`."""
    return sorted(module.name for module in pkgutil.iter_modules(sources.__path__))


def find(name: str) -> SourceModule:
    """The source of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    if name not in names():
        raise unknown_name("source", name, names())
    return cast(SourceModule, importlib.import_module(f"converters.sources.{name}"))
