"""What a source file gives the driver: who it is (`Info`), how to get it (`Access`), its cases (`RawCase`)."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol, cast

from converters import shelf, sources
from converters.description import AnnotationSet, Channel, LabelInfo, Origin, Source
from converters.errors import UsageError
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
    whoever: bool = False  # made for the persons found: who could not be converted is left out, the split is written


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
    reference_origin: Origin = "expert"  # of the labels; derived: a program's, which the user supplied
    warnings: tuple[str, ...] = ()  # what every user of the dataset must know; stays in dataset.json and the card
    preparation: Mapping[str, str | float] = dataclasses.field(default_factory=dict)  # what was asked for, such as N4


@dataclasses.dataclass(frozen=True)
class Loaded:
    """One case's voxels as the files give them: any orientation, channels in order, labels with our codes."""

    images: Mapping[str, Volume]  # channel name -> volume
    label: Volume | None = None
    annotations: Mapping[str, Volume] = dataclasses.field(default_factory=dict)  # 255 = not annotated
    acquisition: Mapping[str, Mapping[str, str | float]] = dataclasses.field(default_factory=dict)
    stack_axis: int | None = None  # array axis along which the slices were stacked, if the source knows
    spacing_known: bool = True  # False where the files say nothing of millimetres; the spacing is then 1
    preparation: Mapping[str, str | float] = dataclasses.field(default_factory=dict)  # what was done to this case
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


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may tell a source. `TAKES` of a source file names those it understands; others are refused there."""

    labels: Path | None = None  # folder of the user's own label maps
    config: Path | None = None  # TOML that describes a folder
    series: str | None = None  # which of several DICOM series, by the short hash that the error lists
    allow_gaps: bool = False  # take the longest run of a DICOM series that lacks slices

    @property
    def given(self) -> frozenset[str]:
        """Names of the options that were given."""
        return frozenset(field.name for field in dataclasses.fields(self) if getattr(self, field.name))


@dataclasses.dataclass(frozen=True)
class Remote:
    """A file that may be fetched without signing in."""

    url: str
    name: str  # as it is saved
    bytes: int | None = None  # where published
    checksum: str = ""  # "md5:<hex>" or "sha256:<hex>", where published


@dataclasses.dataclass(frozen=True)
class Access:
    """How a user comes by the data: files to fetch, or the steps by hand where somebody must sign."""

    page: str
    steps: tuple[str, ...]  # exact, one sentence each; the last one is the `bench convert` command
    files: tuple[Remote, ...] = ()


class SourceModule(Protocol):
    """A file of `converters/sources/`. Beside these it may hold ACCESS (`Access`), TAKES (names of `Options`).

    Where the raw folder itself says what it holds, INFO is empty and a function `infos(raw, options)` gives them.
    """

    INFO: tuple[Info, ...]

    def cases(self, raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
        """The cases of one of its datasets; none if the raw folder holds none."""


def names() -> list[str]:
    """Every source, which is every file of `converters/sources/`."""
    return shelf.stems(sources)


def find(name: str) -> SourceModule:
    """The source of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    return cast(SourceModule, shelf.module(sources, "source", name))


def found(name: str, raw: Path, options: Options) -> list[tuple[Info, list[RawCase]]]:
    """What the raw folder holds of a source: each dataset that has cases there.

    Raises:
        UsageError: there is no such source, or it does not understand an option.
        BenchError: the folder's own description, or its layout, is unsound.
    """
    module = find(name)
    takes = frozenset(getattr(module, "TAKES", ()))
    if strange := sorted(options.given - takes):
        flags = ", ".join("--" + option.replace("_", "-") for option in strange)
        raise UsageError(
            f"{name} takes no {flags}", mend=f"leave it out; it takes: {', '.join(sorted(takes)) or 'none'}"
        )
    infos = module.infos(raw, options) if hasattr(module, "infos") else module.INFO
    return [(info, cases) for info in infos if (cases := list(module.cases(raw, info.name, options)))]
