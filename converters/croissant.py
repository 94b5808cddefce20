"""croissant.json: a dataset as Croissant 1.1 (JSON-LD, mlcommons.org/croissant), for catalogues and loaders.

Every file that is named has its SHA-256; the record sets are the structures, and the cases with the names of their
files. None is read out of NIfTI files: mlcroissant cannot open them.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from converters.dataset import IGNORE, Case, Dataset, Split
from converters.files import Fingerprint, canonical_json, natural_key
from converters.leaks import SIDES

Files = Mapping[str, Fingerprint]  # path below the folder -> bytes, SHA-256
_Json = dict[str, object]

_CONTEXT: _Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        term: f"cr:{term}"
        for term in (
            *("arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
            *("fileProperty", "fileObject", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
            *("key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
            *("samplingRate", "separator", "source", "subField", "transform"),
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
}
_TYPES = {
    ".gz": "application/gzip",
    ".json": "application/json",
    ".md": "text/markdown",
    ".png": "image/png",
    ".txt": "text/plain",
}


def croissant(dataset: Dataset, files: Files, split: Split | None = None) -> bytes:
    """The description of a folder that holds the dataset, or view, and these files.

    Args:
        dataset: what it is.
        files: what lies in the folder; images and labels under the names that `local` gives.
        split: sides to tell with the cases.
    """
    file, card = dataset.file, dataset.file.bench
    named = {"url": f"https://doi.org/{card.source.doi}"} if card.source.doi else {}
    return canonical_json(
        {
            "@context": _CONTEXT,
            "@type": "sc:Dataset",
            "conformsTo": "http://mlcommons.org/croissant/1.1",
            "name": file.name,
            "description": _description(dataset),
            "license": file.licence,
            "version": f"{card.version}.0.0" if card.version.isdecimal() else card.version,
            "citeAs": card.citation,
            **named,
            "distribution": [*_objects(files), *(_set(*one) for one in _sets(files))],
            "recordSet": [_structures(dataset), _cases(dataset, split)],
        }
    )


def local(file: str) -> str:
    """The path below the folder of an image or label file; a view names images of its parent."""
    parts = Path(file).parts
    return file if ".." not in parts else "/".join(parts[-2:])


def _description(dataset: Dataset) -> str:
    card = dataset.file.bench
    shown = f"A view of {card.parent.name}: " if card.parent else ""
    return (
        f"{shown}{len(dataset.cases)} cases of {len(dataset.subjects)} subjects from {card.source.collection}, with "
        f"reference labels: {sum(case.label is not None for case in dataset.cases)}. Gzipped NIfTI-1 in RAS+, "
        f"millimetres; label maps hold one code a voxel, {IGNORE} where nobody annotated."
    )


def _objects(files: Files) -> Iterator[_Json]:
    for path in sorted(files, key=natural_key):
        size, digest = files[path]
        yield {
            "@type": "cr:FileObject",
            "@id": path,
            "name": path,
            "contentUrl": path,
            "contentSize": f"{size} B",
            "encodingFormat": _TYPES[Path(path).suffix],
            "sha256": digest,
        }


def _sets(files: Files) -> list[tuple[str, list[str]]]:
    """Name and folders of every set of NIfTI files."""
    folders = sorted({Path(path).parent.as_posix() for path in files if path.endswith(".nii.gz")}, key=natural_key)
    kinds = {"images": "images", "labels": "labels"}
    sets: dict[str, list[str]] = {}
    for folder in folders:
        sets.setdefault(kinds.get(folder[:6], folder.replace("/", "-")), []).append(folder)
    return sorted(sets.items())


def _set(name: str, folders: Sequence[str]) -> _Json:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "encodingFormat": _TYPES[".gz"],
        "includes": [f"{folder}/*.nii.gz" for folder in folders],
    }


def _records(name: str, description: str, types: Mapping[str, str], rows: Sequence[_Json]) -> _Json:
    """A record set whose rows stand in it; the first field is the key."""
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "key": {"@id": f"{name}/{next(iter(types))}"},
        "field": [_field(name, field, kind) for field, kind in types.items()],
        "data": [{f"{name}/{field}": row[field] for field in types} for row in rows],
    }


def _field(record: str, name: str, kind: str) -> _Json:
    identity = f"{record}/{name}"
    return {"@type": "cr:Field", "@id": identity, "name": identity, "dataType": kind}


def _structures(dataset: Dataset) -> _Json:
    info = dataset.file.bench.label_info
    codes = {name: [value] if isinstance(value, int) else list(value) for name, value in dataset.file.labels.items()}
    rows: list[_Json] = [
        {
            "name": name,
            "codes": " ".join(map(str, value)),
            "snomed": info[name].snomed if name in info else "",
        }
        for name, value in codes.items()
    ]
    rows.append({"name": "not annotated", "codes": str(IGNORE), "snomed": ""})
    about = "Structure, the codes whose union it is in a label map, SNOMED CT concept."
    return _records("structures", about, dict.fromkeys(("name", "codes", "snomed"), "sc:Text"), rows)


def _cases(dataset: Dataset, split: Split | None) -> _Json:
    side = {subject: word for name, word in SIDES.items() for subject in getattr(split, name, ())}
    fields = ["id", "subject", *(f"image_{number}" for number in range(len(dataset.channels))), "label"]
    fields += [f"annotation_{one.id}" for one in dataset.file.bench.annotation_sets]
    rows = [_case(dataset, case) | {"side": side.get(case.subject, "")} for case in dataset.cases]
    about = "Case, person, file of each channel, of the reference label and of each annotation set, or nothing."
    if split is not None:
        fields.append("side")
        about += f" Side of the split '{split.name}'."
    return _records("cases", about, dict.fromkeys(fields, "sc:Text"), rows)


def _case(dataset: Dataset, case: Case) -> _Json:
    images = {f"image_{number}": local(case.images[channel].file) for number, channel in enumerate(dataset.channels)}
    drawn = {one.id: case.annotations.get(one.id) for one in dataset.file.bench.annotation_sets}
    maps = {"label": case.label} | {f"annotation_{name}": annotation for name, annotation in drawn.items()}
    files = {field: "" if annotation is None else annotation.file for field, annotation in maps.items()}
    return {"id": case.id, "subject": case.subject, **images, **files}
