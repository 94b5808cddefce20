"""Medical Segmentation Decathlon (MSD): any task, and what else comes as such a task.

Antonelli et al., Nature Communications 2022 (doi 10.1038/s41467-022-30695-9). The ten tasks: CC BY-SA 4.0. RAW is one
`TaskNN_Name`, or a folder of several:

    dataset.json    labels {"1": name}, modality {"0": name}, training [{image, label}], test [image]
    imagesTr/<case>.nii.gz   labelsTr/<case>.nii.gz   imagesTs/<case>.nii.gz   ._<case>.nii.gz is what macOS leaves

`.nii` does too, also where dataset.json says `.nii.gz`.
A file with four axes holds one channel at each place of the last (BrainTumour, Prostate). Label maps may be stored as
float; a fraction is refused. `ignore` as the highest label becomes 255.
"""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters import kept, paired
from converters.description import Channel, Source
from converters.errors import BenchError
from converters.files import inside, natural_key, stored
from converters.paired import DESCRIPTION, Codes, Pair, Reading
from converters.paired_files import NIFTI
from converters.schema import read
from converters.source import Access, Info, Options, PublishedSplit, RawCase, Remote

INFO: tuple[Info, ...] = ()

_DOI = "10.1038/s41467-022-30695-9"
_CITATION = "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 2022"
# MD5 of the archives in the order of their numbers, as MONAI's DecathlonDataset checks them.
_TASKS = {
    "Task01_BrainTumour": "240a19d752f0d9e9101544901065d872",
    "Task02_Heart": "06ee59366e1e5124267b774dbd654057",
    "Task03_Liver": "a90ec6c4aa7f6a3d087205e23d4e6397",
    "Task04_Hippocampus": "9d24dba78a72977dbd1d2e110310f31b",
    "Task05_Prostate": "35138f08b1efaef89d7424d2bcc928db",
    "Task06_Lung": "8afd997733c7fc0432f71255ba4e52dc",
    "Task07_Pancreas": "4f7080cfca169fa8066d17ce6eb061e4",
    "Task08_HepaticVessel": "641d79e80ec66453921d997fbf12a29c",
    "Task09_Spleen": "410d4a301da4e5b2f6f86ec3ddba524e",
    "Task10_Colon": "bad7a188931dc2f6acf72b08eb6202d0",
}
ACCESS = Access(
    page="http://medicaldecathlon.com",
    steps=(
        "Fetch the archive of one task (Task04_Hippocampus.tar is the smallest) and unpack it.",
        "bench convert msd Task04_Hippocampus data",
    ),
    files=tuple(
        Remote(f"https://msd-for-monai.s3-us-west-2.amazonaws.com/{task}.tar", f"{task}.tar", checksum=f"md5:{md5}")
        for task, md5 in _TASKS.items()
    ),
)
_FOLDER = re.compile(r"Task\d+_(.+)")
_MEND = "save it as plain UTF-8 with the keys of a Decathlon task; for nnU-Net's: bench convert nnunet"


class Listed(msgspec.Struct):
    """One entry of `training` or `validation`."""

    image: str
    label: str


class Described(msgspec.Struct):
    """dataset.json, as far as it matters here; further keys are welcome."""

    labels: dict[str, str]
    modality: dict[str, str]
    training: tuple[Listed, ...]
    validation: tuple[Listed, ...] = ()
    numTraining: int | None = None  # noqa: N815  # its key
    name: str = ""
    reference: str = ""
    licence: str = ""
    license: str = ""
    frugalseg: kept.Kept | None = None  # an export of this suite


@dataclasses.dataclass(frozen=True)
class Task:
    """One task and what its dataset.json says."""

    root: Path
    described: Described

    @property
    def folder(self) -> str:
        """As it is called on disk."""
        return self.root.resolve().name

    @property
    def name(self) -> str:
        """Of the dataset."""
        match, named = _FOLDER.fullmatch(self.folder), self.described.frugalseg
        own = match[1] if match else self.described.name or self.folder
        bare = named.name if named else paired.name(own, self.root)
        made_up = bare.startswith("phantom-")
        return f"{'phantom-' if made_up else ''}msd-{bare.removeprefix('phantom-').removeprefix('msd-')}"


def infos(raw: Path, options: Options) -> list[Info]:
    """One dataset for each folder with a dataset.json.

    Raises:
        BenchError: a dataset.json is unsound, or does not fit what lies beside it.
    """
    return [_info(task) for task in _tasks(raw)]


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """The cases of imagesTr, imagesTs and, in our own exports, imagesUn."""
    for task in _tasks(raw):
        if task.name == dataset:
            _, ignore = paired.codes(_labels(task), task.root / DESCRIPTION)
            reading = Reading(tuple(one.name for one in _channels(task)), ignore)
            yield from paired.raw_cases(_pairs(task), task.root, reading, task.described.frugalseg)


def _tasks(raw: Path) -> list[Task]:
    found = [Task(root, read(root / DESCRIPTION, Described, _MEND)) for root in paired.roots(raw)]
    paired.apart([task.name for task in found], raw)
    return found


def _labels(task: Task) -> dict[str, Codes]:
    """Name -> code, as nnU-Net and we have it; the name of code 0 does not matter."""
    named, path = task.described.labels, task.root / DESCRIPTION
    if strange := [code for code in named if not code.isdecimal()]:
        raise BenchError(f"{path.name}: label codes {', '.join(strange)} are no numbers", where=path, mend=_MEND)
    names = ["background" if int(code) == 0 else name for code, name in named.items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BenchError(f"{path.name}: several labels are called {', '.join(twice)}", where=path, mend="rename them")
    return dict(zip(names, map(int, named), strict=True))


def _channels(task: Task) -> tuple[Channel, ...]:
    own = task.described.frugalseg
    return own.card.channels if own else paired.channels(task.described.modality, task.root / DESCRIPTION)


def _info(task: Task) -> Info:
    described, path = task.described, task.root / DESCRIPTION
    labels, _ = paired.codes(_labels(task), path)
    if described.numTraining not in (None, len(described.training)):
        raise BenchError(
            f"numTraining is {described.numTraining}, but training lists {len(described.training)} cases",
            where=path,
            mend="correct whichever is wrong",
        )
    pairs = _pairs(task)
    if described.frugalseg is not None:
        return dataclasses.replace(kept.info(described.frugalseg, task.name), splits=_splits(task, pairs))
    official = task.folder in _TASKS
    return Info(
        name=task.name,
        version="1",
        licence="CC-BY-SA-4.0" if official else paired.line(described.licence or described.license) or "unknown",
        citation=_CITATION if official else paired.line(described.reference) or "dataset.json names no reference",
        source=Source(
            collection=f"Medical Segmentation Decathlon, {task.folder}" if official else task.folder,
            doi=_DOI if official else "",
        ),
        channels=_channels(task),
        labels=labels,
        label_info=paired.label_info(labels),
        ndim=paired.ndim(pairs),
        splits=_splits(task, pairs),
        warnings=paired.unlabelled(pairs),
    )


def _pairs(task: Task) -> list[Pair]:
    """Every image and label that is listed or lies there."""
    found: list[Pair] = []
    for room in paired.ROOMS:
        images, labels = (_files(task.root / f"{what}{room}") for what in ("images", "labels"))
        if room == "Tr":
            listed = {_stem(one.image): one for one in (*task.described.training, *task.described.validation)}
            images |= {stem: _stored(task.root, one.image) for stem, one in listed.items()}
            drawn = {stem: _stored(task.root, one.label) for stem, one in listed.items()}
            labels = {stem: path for stem, path in labels.items() if path not in drawn.values()} | drawn
        for native in sorted({*images, *labels}, key=natural_key):
            there = (images[native],) if native in images else ()
            found.append(Pair(native, there, labels.get(native), room == "Ts"))
    return found


def _files(folder: Path) -> dict[str, Path]:
    return {stem: path for ending in reversed(NIFTI) for stem, path in paired.files(folder, ending).items()}


def _stored(root: Path, listed: str) -> Path:
    path = inside(root, listed)
    return stored(path.parent, path.name)


def _stem(listed: str) -> str:
    return Path(listed).name.removesuffix(".gz").removesuffix(".nii")


def _splits(task: Task, pairs: list[Pair]) -> tuple[PublishedSplit, ...]:
    """The lists of dataset.json by subject, where it has one for validation."""
    described = task.described
    if not described.validation:
        return ()
    held_out = [pair.native for pair in pairs if pair.held_out]
    lists = [[_stem(one.image) for one in side] for side in (described.training, described.validation)]
    train, val, test = (paired.subjects(side, described.frugalseg) for side in (*lists, held_out))
    return (PublishedSplit("msd", "training, validation and test of dataset.json", train, val, test),)
