"""IXI: MR of the head of nearly 600 healthy adults from three London hospitals, in five contrasts; no labels.

Information eXtraction from Images (EPSRC GR/S21533/02), brain-development.org/ixi-dataset. CC BY-SA 3.0. Layout, in any
folders or none; `.nii` does too, and so does a folder of the image's name that holds one `.nii` (a Kaggle mirror):

    IXI.xls                                             sheet Table: sex, age and what must not leave it
    IXI002-Guys-0828-T1.nii.gz  ...-T2  ...-PD  ...-MRA   person, hospital, scan, contrast
    IXI002-Guys-0828-DTI-00.nii.gz ... -DTI-16.nii.gz     one file for each volume

HH is a Philips 3T, Guys a Philips 1.5T, IOP a GE 1.5T. Traps: T1 is sagittal and oblique by up to 7.7 degrees, T2 and
PD are axial, so each contrast is a dataset. IXI.xls has 26 persons twice, mostly a full row and one of zeros (0 is
missing), a few in conflict, and about 15 imaged persons not at all. Its DOB and STUDY_DATE are never read; of the age
the completed years are taken. IXI371-IOP-0970-MRA is cut off in the collection itself. bvals.txt lists 16 gradients,
most persons have 17 volumes.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn

from converters import ixi
from converters.description import Channel, Source
from converters.errors import BenchError
from converters.source import Access, Info, Loaded, Options, PublishedSplit, RawCase, Remote
from converters.supplied import Declared, read_map
from converters.volume import read_nifti

TAKES = ("labels",)
INFO: tuple[Info, ...] = ()  # the folder says which contrasts there are, and of whom

_SEQUENCES = {
    "T1": "T1-weighted",
    "T2": "T2-weighted",
    "PD": "proton density",
    "MRA": "angiography",
    "DTI": "diffusion-weighted",
}
_SITES: dict[str, dict[str, str | float]] = {
    "Guys": {"MagneticFieldStrength": 1.5, "Manufacturer": "Philips"},
    "HH": {"MagneticFieldStrength": 3.0, "Manufacturer": "Philips"},
    "IOP": {"MagneticFieldStrength": 1.5, "Manufacturer": "GE"},
}
_CUT = "IXI371-IOP-0970-MRA"
_HOST = "https://biomedic.doc.ic.ac.uk/brain-development/downloads/IXI"


def _remote(name: str, size: int | None, checksum: str) -> Remote:
    return Remote(f"{_HOST}/{name}", name, size, checksum)


# MD5: TorchIO's IXI class, s4l-scripts; sizes, SHA-256 of IXI.xls: MedARC-AI/brainmarks-smri. None is the organisers'.
ACCESS = Access(
    page="https://brain-development.org/ixi-dataset/",
    steps=(
        "Download the contrasts you want, IXI-T1.tar, IXI-T2.tar, IXI-PD.tar, IXI-MRA.tar or IXI-DTI.tar, and IXI.xls.",
        "Unpack each archive into a folder of its own: mkdir -p RAW/IXI-T1 && tar -xf IXI-T1.tar -C RAW/IXI-T1",
        "Put IXI.xls into RAW.",
        "bench convert ixi RAW data",
    ),
    files=(
        _remote("IXI-T1.tar", 4840816640, "md5:34901a0593b41dd19c1a1f746eac2d58"),
        _remote("IXI-T2.tar", 3853445120, "md5:e3140d78730ecdd32ba92da48c0a9aaa"),
        _remote("IXI-PD.tar", 4068966400, "md5:88ecd9d1fa33cb4a2278183b42ffd749"),
        _remote("IXI-MRA.tar", None, "md5:29be7d2fee3998f978a55a9bdaf3407e"),
        _remote("IXI-DTI.tar", 4271247986, "md5:636573825b1c8b9e8c78f1877df3ee66"),
        _remote("IXI.xls", 210432, "sha256:8880c4417d8c22f9489439f1b8977b1003ed7908be0294e44462aa71c2a3e78f"),
        _remote("bvals.txt", 77, "md5:e34276bad42272657225ef038ea08c13"),
        _remote("bvecs.txt", 284, "md5:7cb2982dedd13da52dd0ff381d257c74"),
    ),
)


def infos(raw: Path, options: Options) -> tuple[Info, ...]:
    """One dataset for each contrast that is there.

    Raises:
        BenchError: labels.toml is unsound, or does not say which contrast the label maps belong to.
    """
    there = ixi.exams(raw, options.labels)
    sheet = ixi.sheet(raw)
    return tuple(_info(contrast, there, ixi.labels(contrast, there, options.labels), sheet) for contrast in there)


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Every examination with that contrast.

    Raises:
        BenchError: IXI.xls or labels.toml is unsound.
    """
    there = ixi.exams(raw, options.labels)
    contrast = dataset.removeprefix("ixi-").upper()
    labels, sheet = ixi.labels(contrast, there, options.labels), ixi.sheet(raw)
    persons = ixi.persons(sheet) if sheet else {}
    unknown = ixi.Person({}, ("IXI.xls has no row for this person",) if sheet else ())
    names = _channels(contrast, there)
    for exam in there[contrast].values():
        files = tuple(path for _, paths in sorted(exam.volumes.items()) for path in paths)
        drawn = labels.maps.get(exam.name, []) if labels else []
        person = persons.get(int(exam.person[3:]), unknown)
        lacks = ("no label map was supplied for it",) if labels and labels.maps and not drawn else ()
        if what := _fault(names, exam, drawn):
            load: Callable[[], Loaded] = partial(_refuse, what, files[0].parent)
        else:
            told = (drawn[0], labels.told) if labels and drawn else None
            load = partial(_load, dict(zip(names, files, strict=True)), exam.site, told, (*person.missing, *lacks))
        beside = (*drawn, *((labels.toml,) if labels and labels.maps else ()), *((sheet,) if sheet else ()))
        yield RawCase(exam.name, exam.person, (*files, *beside), load, {"site": exam.site, **person.meta})


def _info(contrast: str, there: ixi.There, labels: ixi.Labels | None, sheet: Path | None) -> Info:
    drawn = labels if labels and labels.maps else None
    return Info(
        name=f"ixi-{contrast.lower()}",
        version="1",
        licence="CC-BY-SA-3.0",
        citation=f"Information eXtraction from Images (IXI), EPSRC GR/S21533/02, {ACCESS.page}",
        source=Source(collection="IXI - Information eXtraction from Images"),
        channels=tuple(
            Channel(name=name, modality="MR", sequence=_SEQUENCES[contrast]) for name in _channels(contrast, there)
        ),
        labels=drawn.told.codes if drawn else {"background": 0},
        label_info=drawn.told.info if drawn else {},
        splits=_site_splits(there[contrast].values(), drawn),
        reference_origin="derived",
        warnings=tuple(_warnings(contrast, labels, sheet)),
    )


def _warnings(contrast: str, labels: ixi.Labels | None, sheet: Path | None) -> Iterator[str]:
    yield "faces are in the images: a rendering of a head may show who it is"
    if labels and labels.maps:
        yield f"the labels are no ground truth: a user supplied them, drawn by {labels.told.generator}"
    else:
        yield "IXI has no tissue labels: no label map can be scored; sex and age can"
    yield from labels.warnings if labels else ()
    if contrast == "DTI":
        yield "which volume has which gradient is not in the files; bvals.txt of the collection lists 16 gradients"
    if sheet is None:
        yield "there was no IXI.xls: sex and age are not known"


def _site_splits(exams: Collection[ixi.Exam], labels: ixi.Labels | None) -> tuple[PublishedSplit, ...]:
    """Each site left out once: tested on its persons, those with a label where anybody has one; trained on the rest."""
    sites: dict[str, set[str]] = {}
    for exam in exams:
        sites.setdefault(exam.person, set()).add(exam.site)
    known = {exam.person for exam in exams if labels is None or exam.name in labels.maps}
    splits = []
    for site in ixi.SITES:
        train = tuple(person for person in sites if site not in sites[person])
        test = tuple(person for person in sites if sites[person] == {site} and person in known)
        if test and known & set(train):
            told = f"leave one site out: tested on the persons scanned at {site}, trained on the others"
            splits.append(PublishedSplit(f"site-{site.lower()}", told, train, (), test, whoever=True))
    return tuple(splits)


def _channels(contrast: str, there: ixi.There) -> list[str]:
    """DTI has as many as most persons have volumes, the larger number of equals."""
    if contrast != "DTI":
        return [contrast.lower()]
    counts = Counter(len(exam.volumes) for exam in there[contrast].values())
    return [f"dti-{k:02d}" for k in range(max(counts, key=lambda n: (counts[n], n)))]


def _fault(names: Sequence[str], exam: ixi.Exam, drawn: Sequence[Path]) -> str | None:
    """What keeps the examination from being a case, or None."""
    twice = next((paths for paths in exam.volumes.values() if len(paths) > 1), drawn if len(drawn) > 1 else ())
    if twice:
        kind = "label map" if twice is drawn else "image"
        return f"{len(twice)} files could be its {kind}: {', '.join('/'.join(path.parts[-2:]) for path in twice[:3])}"
    if not all(path.is_file() for paths in exam.volumes.values() for path in paths):
        return "the folder of that name holds no image"
    if (count := len(exam.volumes)) != len(names):
        return f"{count} volumes; most have {len(names)}"
    if max(exam.volumes) >= count:
        return f"{count} volumes, numbered {min(exam.volumes)} to {max(exam.volumes)}"
    return None


def _refuse(what: str, where: Path) -> NoReturn:
    raise BenchError(what, where=where, mend="keep what belongs to it; a folder of label maps is given by --labels")


def _load(
    channels: Mapping[str, Path], site: str, drawn: tuple[Path, Declared] | None, warnings: tuple[str, ...]
) -> Loaded:
    try:
        images = {name: read_nifti(path) for name, path in channels.items()}
    except BenchError as error:
        known = any(path.name.upper().startswith(_CUT) for path in channels.values())
        also = "; the copy in the collection is cut off as well" if known else ""
        raise BenchError(error.what + also, where=error.where, mend=error.mend) from None
    return Loaded(
        images=images,
        label=read_map(*drawn) if drawn else None,
        acquisition=dict.fromkeys(images, _SITES[site]),
        warnings=warnings,
    )
