"""What is said of a dataset as a whole: dataset.json, nnU-Net v2's keys and ours. `docs/format.md` is the rule."""

from typing import Literal

from converters.files import Strict

FORMAT = 1

Kind = Literal["dense", "scribble", "points", "noisy", "partial", "pseudo"]
Origin = Literal["expert", "simulated", "derived"]


class Channel(Strict):
    """One channel of every image: what it shows and in which unit."""

    name: str
    modality: str  # DICOM's codes: MR, CT, DX
    sequence: str = ""
    unit: str = ""  # "HU", or "" for arbitrary units


class LabelInfo(Strict):
    """Where a label value comes from and how it is drawn."""

    source_values: tuple[int, ...] = ()
    snomed: str = ""  # SNOMED CT concept id
    colour: str = ""  # "#rrggbb"


class AnnotationSet(Strict):
    """One further way in which the cases were annotated, beside the reference labels."""

    id: str
    kind: Kind
    origin: Origin
    path: str  # folder, relative to the dataset
    generator: dict[str, str | int | float] = {}


class Source(Strict):
    """Where the data came from."""

    collection: str
    version: str = ""
    doi: str = ""
    sha256: str = ""  # over the source files of all cases


class Parent(Strict):
    """The dataset a view was made from, and what the view shows of it."""

    name: str
    content_sha256: str
    protocol: dict[str, str | int | float] = {}


class Card(Strict):
    """The block `bench` of dataset.json: all that nnU-Net's keys cannot say."""

    format: int
    ndim: Literal[2, 3]
    version: str
    citation: str
    source: Source
    channels: tuple[Channel, ...]
    label_info: dict[str, LabelInfo]
    content_sha256: str
    orientation: Literal["RAS"] = "RAS"
    units: Literal["mm"] = "mm"
    converter: dict[str, str] = {}
    annotation_sets: tuple[AnnotationSet, ...] = ()
    nsd_tolerances_mm: tuple[float, ...] = (1.0, 2.0)
    warnings: tuple[str, ...] = ()
    copies: tuple[tuple[str, ...], ...] = ()  # subjects with the same images: a split keeps them on one side
    preparation: dict[str, str | float] = {}  # asked for at conversion: resampling, registration, bias correction
    parent: Parent | None = None  # set in a view only


class DatasetFile(Strict):
    """dataset.json: nnU-Net v2's keys at the top, ours under `bench`."""

    name: str
    licence: str
    channel_names: dict[str, str]
    labels: dict[str, int | tuple[int, ...]]
    numTraining: int  # noqa: N815  # nnU-Net's key
    bench: Card
    file_ending: Literal[".nii.gz"] = ".nii.gz"
    regions_class_order: tuple[int, ...] = ()
