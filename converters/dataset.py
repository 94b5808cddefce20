"""The uniform format in memory: Case, Dataset, Split. `docs/format.md` is the rule, this is its type."""

import dataclasses
import functools
from pathlib import Path

import msgspec

from converters.description import FORMAT, Channel, DatasetFile, Kind, Origin
from converters.errors import BenchError
from converters.files import Strict, digest, inside, natural_key, read_json, safe_id, write_json

IGNORE = 255  # nobody annotated this voxel
_IMAGE_FOLDERS = {"imagesTr", "imagesTs", "imagesUn"}


class Geometry(Strict):
    """The grid all channels and labels of a case share."""

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]  # 4 x 4, voxel index -> mm, RAS+
    source_orientation: str  # axis codes before the flips, such as LPS
    slice_axis: int  # the stack axis, in the RAS+ array
    spacing_known: bool = True


class ImageFile(Strict):
    """One channel on disk."""

    file: str
    dtype: str
    data_sha256: str
    range: tuple[float, float]
    acquisition: dict[str, str | float] = {}  # allow-listed scanner settings, never an identity


class Annotation(Strict):
    """One label map on disk."""

    file: str
    kind: Kind
    origin: Origin
    data_sha256: str
    voxels: dict[str, int]  # value -> count
    annotated_fraction: float


class SourceFile(Strict):
    """A file the case was made from, relative to the raw folder."""

    path: str
    bytes: int
    sha256: str


class Case(Strict):
    """One examination of one subject: cases/<id>.json. Paths are relative to the dataset's folder."""

    id: str
    native_id: str
    subject: str
    geometry: Geometry
    images: dict[str, ImageFile]  # channel name -> file, in channel order
    label: Annotation | None = None  # None: nobody annotated this case
    annotations: dict[str, Annotation] = {}  # annotation set -> label map
    meta: dict[str, str | float] = {}  # phase, group, site, sex, age_years ...
    preparation: dict[str, str | float] = {}  # what was done to the voxels, with its parameters; empty: nothing
    sources: tuple[SourceFile, ...] = ()
    warnings: tuple[str, ...] = ()
    converter: str = ""  # version of the converter that wrote it


class Split(Strict):
    """splits/<name>.json: subjects of training, validation and test, tied to the content they were made for."""

    name: str
    dataset: str
    content_sha256: str
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    draws: dict[str, tuple[str, ...]] = {}  # published orders in which training subjects get their labels
    source: str = ""
    format: int = FORMAT

    def check(self) -> list[str]:
        """Subjects that stand on more than one side, as sentences."""
        sides = {"train": self.train, "val": self.val, "test": self.test}
        found = []
        for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
            both = sorted(set(sides[a]) & set(sides[b]))
            if both:
                found.append(f"split '{self.name}': {', '.join(both)} in {a} and in {b}")
        found += [
            f"split '{self.name}': draw '{draw}' names {subject}, which is not in train"
            for draw, subjects in self.draws.items()
            for subject in subjects
            if subject not in self.train
        ]
        return found


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset folder, read: its description and its cases. Images are read one by one, when asked for."""

    root: Path
    file: DatasetFile
    cases: tuple[Case, ...]

    @classmethod
    def load(cls, root: Path) -> "Dataset":
        """Read dataset.json and every sidecar.

        Raises:
            BenchError: a file is absent, malformed, of a newer format, or names a path outside its room; an id is a
                path or no name.
        """
        file = read_json(root / "dataset.json", DatasetFile)
        if file.bench.format > FORMAT:
            raise BenchError(f"format {file.bench.format} is newer than this suite's {FORMAT}", where=root)
        sidecars = sorted((root / "cases").glob("*.json"), key=natural_key)
        dataset = cls(root, file, tuple(read_json(path, Case) for path in sidecars))
        # A JSON file holds the channels by name, not in their order.
        ordered = (msgspec.structs.replace(c, images=in_order(c.images, file.bench.channels)) for c in dataset.cases)
        dataset = cls(root, file, tuple(ordered))
        for case in dataset.cases:
            _check_ids(case, root)
            for path in (*map(str, [i.file for i in case.images.values()]), *dataset._label_files(case)):
                dataset.path(path)
        return dataset

    def save(self) -> None:
        """Write dataset.json and the sidecars atomically; unchanged files are left alone."""
        for case in self.cases:
            write_json(self.root / "cases" / f"{case.id}.json", case)
        write_json(self.root / "dataset.json", self.file)

    @property
    def name(self) -> str:
        """Name as in `--dataset`; phantoms start with `phantom-`."""
        return self.file.name

    @property
    def channels(self) -> tuple[str, ...]:
        """Channel names in order."""
        return tuple(channel.name for channel in self.file.bench.channels)

    @property
    def labels(self) -> dict[str, int | tuple[int, ...]]:
        """Foreground structures: name -> code, or the codes of an overlapping region."""
        return {name: value for name, value in self.file.labels.items() if value != 0}

    @property
    def classes(self) -> int:
        """Number of codes including background: the width of a network's output."""
        codes = [c for v in self.labels.values() for c in (v if isinstance(v, tuple) else (v,))]
        return max(codes) + 1

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject once, in natural order."""
        return tuple(sorted({case.subject for case in self.cases}, key=natural_key))

    def case(self, case_id: str) -> Case:
        """The case of that id.

        Raises:
            KeyError: there is none.
        """
        return self._by_id[case_id]

    @functools.cached_property
    def _by_id(self) -> dict[str, Case]:
        return {case.id: case for case in reversed(self.cases)}  # of two with one id the first

    def only(self, subjects: tuple[str, ...]) -> "Dataset":
        """The same dataset with the cases of these subjects alone."""
        keep = set(subjects)
        return dataclasses.replace(self, cases=tuple(c for c in self.cases if c.subject in keep))

    def path(self, relative: str) -> Path:
        """A file of the dataset. A view may also name images of its parent, and nothing else out there."""
        if self.file.bench.parent is not None and Path(relative).parent.name in _IMAGE_FOLDERS:
            return self.root / relative
        return inside(self.root, relative)

    def split(self, name: str) -> Split:
        """The named split.

        Raises:
            BenchError: it is absent, overlaps, or was made for other content.
        """
        path = self.root / "splits" / f"{name}.json"
        if not path.is_file():
            known = ", ".join(sorted(p.stem for p in path.parent.glob("*.json")))
            raise BenchError(f"{self.name} has no split '{name}'", where=path.parent, mend=f"splits here: {known}")
        split = read_json(path, Split)
        if split.content_sha256 != self.file.bench.content_sha256:
            raise BenchError(
                f"split '{name}' was made for content {split.content_sha256[:12]}, "
                f"this is {self.file.bench.content_sha256[:12]}",
                where=path,
                mend="convert again, or take the split that belongs to this version",
            )
        if problems := split.check():
            raise BenchError("; ".join(problems), where=path)
        return split

    def content_sha256(self) -> str:
        """Digest over image and reference voxels and geometry of all cases; scribbles, splits and cards stay out."""
        return digest(
            [
                [
                    case.id,
                    case.subject,
                    [i.data_sha256 for i in in_order(case.images, self.file.bench.channels).values()],
                    case.label and case.label.data_sha256,
                ]
                for case in sorted(self.cases, key=lambda c: c.id)
            ]
        )

    @staticmethod
    def _label_files(case: Case) -> list[str]:
        return [a.file for a in (case.label, *case.annotations.values()) if a is not None]


def _check_ids(case: Case, root: Path) -> None:
    """Ids become file names, of predictions and views too."""
    for name in (case.id, case.subject):
        if safe_id(name, where=root) != name:
            raise BenchError(f"'{name}' cannot be a case id", where=root, mend="convert again")


def in_order(images: dict[str, ImageFile], channels: tuple[Channel, ...]) -> dict[str, ImageFile]:
    """The same images in the order of the dataset's channels; strangers last."""
    rank = {channel.name: number for number, channel in enumerate(channels)}
    return {name: images[name] for name in sorted(images, key=lambda name: (rank.get(name, len(rank)), name))}
