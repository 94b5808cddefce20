"""nnU-Net v2 raw datasets, those of this suite and the exports of `bench export --to nnunet` among them.

Isensee et al., Nature Methods 2021; layout of nnU-Net 2 (documentation/dataset_format.md of its repository). Licence:
what dataset.json names. RAW is one `DatasetNNN_Name` (or a folder of another name), or a folder of several:

    dataset.json    channel_names, labels, numTraining, file_ending; or the files: `dataset` {case: {images, label}}
    imagesTr/<case>_0000.nii.gz, _0001 ...   labelsTr/<case>.nii.gz   imagesTs/   labelsTs/   splits_final.json

Other file endings: .nii, .mha, .nrrd, .png, .bmp, .tif (its volumes have their spacing in imagesTr/<case>.json).
`ignore` must be the highest code and becomes 255. Lists of codes are overlapping regions. A case is taken for a person,
which is wrong where people were scanned twice: nnU-Net has no word for that, our own folders have. The folds of
splits_final.json become splits: their `val` is the test side unless imagesTs has labels.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters import kept, paired
from converters.dataset import Dataset, Split
from converters.description import Channel, Source
from converters.errors import BenchError
from converters.files import inside, natural_key, read_json
from converters.paired import DESCRIPTION, Codes, Pair, Reading
from converters.paired_files import ENDINGS
from converters.schema import read
from converters.source import Info, Options, PublishedSplit, RawCase

INFO: tuple[Info, ...] = ()
_FOLDER = re.compile(r"Dataset\d{3}_(.+)")
_MEND = "nnU-Net 2: documentation/dataset_format.md says which keys it takes"


class Listed(msgspec.Struct):
    """One case of the key `dataset`: paths relative to the folder."""

    images: tuple[str, ...]
    label: str


class Described(msgspec.Struct):
    """dataset.json, as far as it matters here; further keys are welcome."""

    channel_names: dict[str, str]
    labels: dict[str, Codes]
    numTraining: int  # noqa: N815  # nnU-Net's key
    file_ending: str
    name: str = ""
    reference: str = ""
    licence: str = ""
    license: str = ""
    dataset: dict[str, Listed] | None = None
    bench: dict[str, object] | None = None  # a dataset of this suite
    frugalseg: kept.Kept | None = None  # an export of one


class Fold(msgspec.Struct):
    """One entry of splits_final.json: case ids."""

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Folder:
    """One raw dataset and what its dataset.json says."""

    root: Path
    described: Described
    kept: kept.Kept | None

    @property
    def name(self) -> str:
        """Of the dataset."""
        if self.kept is not None:
            return self.kept.name
        match = _FOLDER.fullmatch(self.root.resolve().name)
        return paired.name(match[1] if match else self.described.name or self.root.resolve().name, self.root)


def infos(raw: Path, options: Options) -> list[Info]:
    """One dataset for each folder with a dataset.json.

    Raises:
        BenchError: a dataset.json is unsound, or does not fit what lies beside it.
    """
    return [_info(folder) for folder in _folders(raw)]


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """The cases of imagesTr, imagesTs and, in our own folders, imagesUn."""
    for folder in _folders(raw):
        if folder.name == dataset:
            _, ignore = paired.codes(folder.described.labels, folder.root / DESCRIPTION)
            names = tuple(one.name for one in _channels(folder))
            reading = Reading(names, ignore, ours=folder.described.bench is not None)
            yield from paired.raw_cases(_pairs(folder), folder.root, reading, folder.kept)


def _folders(raw: Path) -> list[Folder]:
    found = []
    for root in paired.roots(raw):
        described = read(root / DESCRIPTION, Described, _MEND)
        found.append(Folder(root, described, described.frugalseg or _ours(root, described)))
    paired.apart([folder.name for folder in found], raw)
    return found


def _ours(root: Path, described: Described) -> kept.Kept | None:
    if described.bench is None:
        return None
    dataset = Dataset.load(root)
    if dataset.file.bench.parent is not None:
        raise BenchError("a view is no raw dataset", where=root, mend="bench export VIEW OUT --to nnunet, and take OUT")
    return kept.keep(dataset)


def _info(folder: Folder) -> Info:
    described, path = folder.described, folder.root / DESCRIPTION
    labels, ignore = paired.codes(described.labels, path)
    pairs = _pairs(folder)
    _check_count(described, pairs, path)
    warnings = paired.unlabelled(pairs if folder.kept is None else ())
    splits = (*_folds(folder, pairs), *_splits(folder))
    if folder.kept is not None:
        info = kept.info(folder.kept, folder.name)
        return dataclasses.replace(info, splits=splits)
    warnings += paired.without_spacing(pairs)
    if ignore is not None:
        warnings += ("voxels with nnU-Net's ignore label are 255: nobody annotated them",)
    return Info(
        name=folder.name,
        version="1",
        licence=paired.line(described.licence or described.license) or "unknown",
        citation=paired.line(described.reference) or "dataset.json names no reference",
        source=Source(collection=paired.line(described.name) or folder.name),
        channels=_channels(folder),
        labels=labels,
        label_info=paired.label_info(labels),
        ndim=paired.ndim(pairs),
        splits=splits,
        warnings=warnings,
    )


def _channels(folder: Folder) -> tuple[Channel, ...]:
    if folder.kept is not None:
        return folder.kept.card.channels
    return paired.channels(folder.described.channel_names, folder.root / DESCRIPTION)


def _check_count(described: Described, pairs: list[Pair], path: Path) -> None:
    training = [pair for pair in pairs if not pair.held_out]
    images, labels = (sum(map(bool, column)) for column in ([p.images for p in training], [p.label for p in training]))
    if described.numTraining not in (images, labels, len(training)):
        raise BenchError(
            f"numTraining is {described.numTraining}, but {images} cases stand in imagesTr and {labels} have a label",
            where=path,
            mend="restore what is missing, or correct the number",
        )


def _pairs(folder: Folder) -> list[Pair]:
    listed = folder.described.dataset
    if listed is None:
        return [pair for room in paired.ROOMS for pair in _room(folder, room)]
    root = folder.root
    found = [
        Pair(native, tuple(inside(root, image) for image in one.images), inside(root, one.label))
        for native, one in sorted(listed.items(), key=lambda item: natural_key(item[0]))
    ]
    return [*found, *_room(folder, "Ts")]


def _room(folder: Folder, room: str) -> Iterator[Pair]:
    ending, wanted = _ending(folder), len(folder.described.channel_names)
    images: dict[str, list[Path]] = defaultdict(list)
    for stem, path in paired.files(folder.root / f"images{room}", ending).items():
        native, underscore, number = stem.rpartition("_")
        if not (underscore and re.fullmatch(r"\d{4}", number)):
            raise BenchError(
                f"{path.name} ends in no channel number", where=path, mend=f"call it {stem}_0000{ending}, or remove it"
            )
        images[native].append(path)
    labels = paired.files(folder.root / f"labels{room}", ending)
    sets = folder.kept.card.annotation_sets if folder.kept else ()
    for native in sorted({*images, *labels}, key=natural_key):
        there = images.get(native, [])
        if len(there) == wanted:  # by number: a gap is a file that is missing
            there = [there[0].with_name(f"{native}_{number:04d}{ending}") for number in range(wanted)]
        drawn = {one.id: folder.root / one.path / f"{native}{ending}" for one in sets}
        drawn = {name: path for name, path in drawn.items() if path.is_file()}
        yield Pair(native, tuple(there), labels.get(native), room == "Ts", drawn)


def _ending(folder: Folder) -> str:
    ending = folder.described.file_ending
    if ending not in ENDINGS:
        raise BenchError(
            f"file_ending is {ending!r}; these are read: {', '.join(ENDINGS)}",
            where=folder.root / DESCRIPTION,
            mend="bench convert folder reads other kinds",
        )
    return ending


def _folds(folder: Folder, pairs: list[Pair]) -> list[PublishedSplit]:
    """Each fold of splits_final.json by subject."""
    path = folder.root / "splits_final.json"
    if not path.is_file():
        return []
    held_out = paired.subjects((pair.native for pair in pairs if pair.held_out and pair.label), folder.kept)
    found = []
    for number, fold in enumerate(read_json(path, list[Fold])):
        train, val = (paired.subjects(side, folder.kept) for side in (fold.train, fold.val))
        if both := sorted({*train} & {*val}, key=natural_key):
            raise BenchError(f"fold {number} has {', '.join(both)} on both sides", where=path, mend="repair the split")
        test, val = (held_out, val) if held_out else (val, ())
        name = f"nnunet-fold{number}"
        found.append(PublishedSplit(name, f"fold {number} of splits_final.json", train, val, test))
    return found


def _splits(folder: Folder) -> list[PublishedSplit]:
    """The splits of a dataset of this suite, other than the one that every conversion makes."""
    paths = sorted((folder.root / "splits").glob("*.json"), key=natural_key) if folder.described.bench else []
    there = [read_json(path, Split) for path in paths if path.stem != "default"]
    return [PublishedSplit(one.name, one.source, one.train, one.val, one.test, one.draws) for one in there]
