"""BIDS 1.11: a raw dataset of MR contrasts, and the label maps as a derivative of it.

bids-specification.readthedocs.io; the suffixes are those of the schema for `anat`.

    dataset_description.json  README.md  participants.tsv  participants.json
    sub-<subject>/[ses-<case>/]anat/sub-<subject>[_ses-<case>][_acq-<channel>]_T1w.nii.gz  .json
    derivatives/labels/dataset_description.json  desc-expert_dseg.tsv
    derivatives/labels/sub-<subject>/[ses-<case>/]anat/sub-<subject>[_ses-<case>]_desc-expert_dseg.nii.gz  .json

BIDS has no place for CT or X-ray, nor a suffix for MR that is none of these contrasts: such datasets are refused. Its
names hold letters and digits alone. It has no word for voxels that nobody annotated: 255 stays, as a row of the table.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from converters.dataset import IGNORE, Annotation, Case, Dataset, Split
from converters.description import Channel
from converters.errors import BenchError
from converters.export import copy, whole
from converters.files import write_bytes, write_json
from converters.leaks import SIDES

_VERSION = "1.11.1"
_LABELS = "derivatives/labels"
# The first that a word of the channel's name or sequence begins with; a T2 FLAIR is a FLAIR.
_SUFFIXES = {
    "FLAIR": ("flair",),
    "angio": ("angio", "mra", "tof"),
    "T2starw": ("t2*", "t2star"),
    "PDw": ("pd", "proton"),
    "T1w": ("t1",),
    "T2w": ("t2",),
}
_NEVER = ("diffusion", "dwi", "dti", "adc", "t1map", "t2map")  # no weighted image, or not without its b-values
_SECONDS = ("EchoTime", "RepetitionTime", "InversionTime")  # milliseconds in DICOM
_AS_THEY_ARE = ("FlipAngle", "MagneticFieldStrength", "Manufacturer", "MRAcquisitionType", "ScanningSequence")
_PERSON = ("age_years", "sex", "group", "site")  # of a case's meta: what participants.tsv tells
_MADE_BY = [{"Name": "frugalseg"}]


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write the dataset or view; participants.tsv tells the side of a split.

    Raises:
        BenchError: BIDS cannot hold its images, or two ids are one when written in letters and digits.
    """
    suffixes = _suffixes(dataset)
    names = _names(dataset)
    with whole(out) as root:
        for case in dataset.cases:
            _write_images(dataset, case, suffixes, root / names[case.id])
            _write_labels(dataset, case, root / _LABELS / names[case.id], f"bids:raw:{names[case.id]}_{suffixes[0]}")
        _write_participants(dataset, split, root)
        _write_descriptions(dataset, root)


def notices(dataset: Dataset, _: Path) -> Iterator[str]:
    """What BIDS does not say."""
    if any(str(IGNORE) in label.voxels for case in dataset.cases for _, label in _maps(case)):
        yield f"{IGNORE} in a label map means: nobody annotated this voxel; BIDS has no word for it"
    if any(not case.geometry.spacing_known for case in dataset.cases):
        yield "the spacing of some cases is unknown and counts as 1; BIDS takes it for millimetres"


def _suffixes(dataset: Dataset) -> tuple[str, ...]:
    """`[acq-<channel>_]<suffix>` of every channel."""
    found = [_suffix(channel, dataset.root) for channel in dataset.file.bench.channels]
    several = Counter(found)
    named = zip(dataset.channels, found, strict=True)
    return tuple(f"acq-{_word(name)}_{suffix}" if several[suffix] > 1 else suffix for name, suffix in named)


def _suffix(channel: Channel, where: Path) -> str:
    if channel.modality != "MR":
        raise BenchError(
            f"BIDS has no datatype for {channel.modality or 'an unknown modality'} (channel {channel.name})",
            where=where,
            mend="take another format: bench ls exports",
        )
    words = re.findall(r"[a-z0-9*]+", f"{channel.name} {channel.sequence}".lower())
    for suffix, starts in _SUFFIXES.items():
        if not any(word.startswith(_NEVER) for word in words) and any(word.startswith(starts) for word in words):
            return suffix
    raise BenchError(
        f"BIDS has no suffix for channel {channel.name}{f' ({channel.sequence})' if channel.sequence else ''}; "
        f"it has {', '.join(_SUFFIXES)}",
        where=where,
        mend="take another format: bench ls exports",
    )


def _names(dataset: Dataset) -> dict[str, str]:
    """Case id -> path and beginning of the names of its files; sessions where a subject has several cases."""
    count = Counter(case.subject for case in dataset.cases)
    found = {}
    for case in dataset.cases:
        subject = f"sub-{_word(case.subject)}"
        session = f"ses-{_word(case.id.removeprefix(f'{case.subject}-'))}"
        parts = (subject, session) if max(count.values()) > 1 else (subject,)
        found[case.id] = f"{'/'.join(parts)}/anat/{'_'.join(parts)}"
    people = {(case.subject, _word(case.subject)) for case in dataset.cases}
    if len({word for _, word in people}) < len(people) or len(set(found.values())) < len(found):
        raise BenchError(
            "two ids are the same in letters and digits, all that BIDS allows",
            where=dataset.root,
            mend="rename one of them in the source",
        )
    return found


def _word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name)


def _write_images(dataset: Dataset, case: Case, suffixes: tuple[str, ...], stem: Path) -> None:
    for channel, suffix in zip(dataset.channels, suffixes, strict=True):
        image = case.images[channel]
        copy(dataset, image, stem.with_name(f"{stem.name}_{suffix}.nii.gz"))
        write_json(stem.with_name(f"{stem.name}_{suffix}.json"), _settings(image.acquisition))


def _settings(acquisition: Mapping[str, str | float]) -> dict[str, str | float]:
    """The scanner settings in the words and units of BIDS."""
    times = {name: acquisition[name] for name in _SECONDS if name in acquisition}
    seconds = {name: round(value / 1000, 9) for name, value in times.items() if isinstance(value, float)}
    return {**seconds, **{name: acquisition[name] for name in _AS_THEY_ARE if name in acquisition}}


def _maps(case: Case) -> Iterator[tuple[str, Annotation]]:
    """Every label map with its `desc-`."""
    if case.label is not None:
        yield (case.label.origin if case.label.kind == "dense" else case.label.kind), case.label
    for name, annotation in case.annotations.items():
        yield f"set{_word(name)}", annotation


def _write_labels(dataset: Dataset, case: Case, stem: Path, source: str) -> None:
    for described, annotation in _maps(case):
        name = f"{stem.name}_desc-{described}_dseg"
        copy(dataset, annotation, stem.with_name(f"{name}.nii.gz"))
        facts = {
            "Description": f"{annotation.kind} annotation",
            "Manual": annotation.origin == "expert",
            "Sources": [f"{source}.nii.gz"],
            "SpatialReference": f"{source}.nii.gz",
        }
        write_json(stem.with_name(f"{name}.json"), facts)


def _write_participants(dataset: Dataset, split: Split | None, root: Path) -> None:
    """One row a subject; a fact on which its cases differ is left out."""
    told: dict[str, dict[str, set[str]]] = {}
    for case in dataset.cases:
        row = told.setdefault(case.subject, {})
        for fact in _PERSON:
            if fact in case.meta:
                value = case.meta[fact]
                row.setdefault(fact, set()).add(f"{value:g}" if isinstance(value, float) else value)
    side = {subject: word for name, word in SIDES.items() for subject in getattr(split, name, ())}
    columns = {
        "age_years": ("age", {"Description": "age at the examination", "Units": "year"}),
        "sex": ("sex", {"Description": "sex as the source says"}),
        "group": ("group", {"Description": "diagnostic group"}),
        "site": ("site", {"Description": "where the images were taken"}),
    }
    used = {fact: column for fact, column in columns.items() if any(fact in row for row in told.values())}
    rows = [["participant_id", *(name for name, _ in used.values()), *(["split"] if split else [])]]
    for subject, row in told.items():
        facts = [next(iter(v)) if len(v := row.get(fact, set())) == 1 else "n/a" for fact in used]
        rows.append([f"sub-{_word(subject)}", *facts, *([side.get(subject, "n/a")] if split else [])])
    _write_table(root / "participants.tsv", rows)
    described: dict[str, object] = dict(used.values())
    if split:
        described["split"] = {"Description": f"side of the split {split.name}"}
    write_json(root / "participants.json", described)


def _write_table(path: Path, rows: list[list[str]]) -> None:
    clean = (["n/a" if not cell.strip() else re.sub(r"\s+", " ", cell.strip()) for cell in row] for row in rows)
    write_bytes(path, "".join("\t".join(row) + "\n" for row in clean).encode())


def _write_descriptions(dataset: Dataset, root: Path) -> None:
    file, card = dataset.file, dataset.file.bench
    shared = {"BIDSVersion": _VERSION, "License": file.licence, "HowToAcknowledge": card.citation}
    source = {"SourceDatasets": [{"URL": f"https://doi.org/{card.source.doi}"}]} if card.source.doi else {}
    raw = {"Name": file.name, "DatasetType": "raw", "GeneratedBy": _MADE_BY, **source, **shared}
    write_json(root / "dataset_description.json", raw)
    about = [f"# {file.name}", "", card.source.collection, f"Licence: {file.licence}", f"Cite: {card.citation}", ""]
    about += [f"- {note}" for note in (*card.warnings, *notices(dataset, root))]
    write_bytes(root / "README.md", ("\n".join(about).strip() + "\n").encode())
    described = sorted({name for case in dataset.cases for name, _ in _maps(case)})
    if not described:
        return
    labels = root / _LABELS
    derived = {"Name": f"{file.name}: labels", "DatasetType": "derivative", "GeneratedBy": _MADE_BY, **shared}
    write_json(labels / "dataset_description.json", {**derived, "DatasetLinks": {"raw": "../.."}})
    write_bytes(labels / "README.md", f"# {file.name}: labels\n\nLabel maps on the grids of the images.\n".encode())
    for name in described:
        _write_table(labels / f"desc-{name}_dseg.tsv", list(_lookup(dataset)))


def _lookup(dataset: Dataset) -> Iterator[list[str]]:
    """Index, name, abbreviation, colour of every code; a code of an overlap has the names of all its structures."""
    names: dict[int, list[str]] = {0: ["background"]}
    for name, value in dataset.labels.items():
        for code in (value,) if isinstance(value, int) else value:
            names.setdefault(code, []).append(name)
    info = dataset.file.bench.label_info
    yield ["index", "name", "abbreviation", "color"]
    for code, those in sorted(names.items()):
        colour = info[those[0]].colour if len(those) == 1 and those[0] in info else ""
        joined = " and ".join(sorted(those))
        yield [str(code), joined, "".join(word[0] for word in joined.split()).upper(), colour]
    yield [str(IGNORE), "not annotated", "NA", ""]
