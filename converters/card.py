"""What describes a whole dataset: dataset.json, published splits, licence and data card, from Info and the cases."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from converters.dataset import Case, Dataset, Split
from converters.datasheet import publish
from converters.description import FORMAT, Card, DatasetFile
from converters.files import canonical_json, digest, natural_key, safe_id, write_bytes, write_json
from converters.source import Info, PublishedSplit
from converters.written import duplicates


def write(root: Path, info: Info, cases: Iterable[Case], converter: str, left_out: Sequence[str]) -> Dataset:
    """Write the description of the cases that lie in `root`; dataset.json last, since it vouches for the rest.

    Args:
        root: the dataset's folder.
        info: what its source says about it.
        cases: the cases that lie there.
        converter: version of the converter.
        left_out: ids of the cases that could not be converted; the card names them.
    """
    dataset = _dataset(root, info, tuple(sorted(cases, key=lambda case: natural_key(case.id))), converter)
    warnings = info.warnings + tuple(
        f"case {case} was left out: its source files could not be converted" for case in left_out
    )
    card = msgspec.structs.replace(dataset.file.bench, warnings=warnings, content_sha256=dataset.content_sha256())
    dataset = Dataset(root, msgspec.structs.replace(dataset.file, bench=card), dataset.cases)
    write_bytes(root / "LICENSE.txt", _licence(dataset).encode())
    for split in info.splits:
        _write_split(dataset, split)
    publish(dataset, canonical_json(dataset.file))
    dataset.save()
    return dataset


def _dataset(root: Path, info: Info, cases: tuple[Case, ...], converter: str) -> Dataset:
    drawn = {name for case in cases for name in case.annotations}
    files = sorted({(file.path, file.sha256) for case in cases for file in case.sources})
    card = Card(
        format=FORMAT,
        ndim=info.ndim,
        version=info.version,
        citation=info.citation,
        source=msgspec.structs.replace(info.source, sha256=digest(files)),
        channels=info.channels,
        label_info=dict(info.label_info),
        content_sha256="",
        converter={"name": "frugalseg", "version": converter},
        annotation_sets=tuple(one for one in info.annotation_sets if one.id in drawn),
        nsd_tolerances_mm=info.nsd_tolerances_mm,
        copies=_copies(info, cases),
        preparation=dict(info.preparation),
    )
    file = DatasetFile(
        name=info.name,
        licence=info.licence,
        channel_names={str(number): channel.name for number, channel in enumerate(info.channels)},
        labels=dict(info.labels),
        numTraining=sum(case.label is not None and "imagesTr/" in _first_image(case) for case in cases),
        bench=card,
        regions_class_order=_painted(info),
    )
    return Dataset(root, file, cases)


def _painted(info: Info) -> tuple[int, ...]:
    """nnU-Net's word for regions: the code that a predicted region is written with, its own before any overlap."""
    # nnU-Net takes the regions in the order of the file, which is that of their names.
    regions = [value for _, value in sorted(info.labels.items()) if value != 0]
    if not any(isinstance(value, tuple) for value in regions):
        return ()
    return tuple(value[0] if isinstance(value, tuple) else value for value in regions)


def _copies(info: Info, cases: Sequence[Case]) -> tuple[tuple[str, ...], ...]:
    """The known groups of subjects with the same images, as far as they are here."""
    subject = {case.id: case.subject for case in cases}
    found = [{subject[case] for case in ids} for ids in duplicates(cases)]
    known = [tuple(safe_id(native) for native in group) for group in info.copies]
    return tuple(group for group in known if set(group) in found)


def _first_image(case: Case) -> str:
    return next(iter(case.images.values())).file


def _write_split(dataset: Dataset, published: PublishedSplit) -> None:
    """The published split, where all its subjects are there; else none, and none of an earlier content remains."""
    path = dataset.root / "splits" / f"{published.name}.json"

    here = set(dataset.subjects)

    def ids(natives: Iterable[str]) -> tuple[str, ...]:
        found = (safe_id(native) for native in natives)
        return tuple(one for one in found if one in here or not published.whoever)

    split = Split(
        name=published.name,
        dataset=dataset.name,
        content_sha256=dataset.file.bench.content_sha256,
        train=ids(published.train),
        val=ids(published.val),
        test=ids(published.test),
        draws={draw: ids(subjects) for draw, subjects in published.draws.items()},
        source=published.source,
    )
    if {*split.train, *split.val, *split.test} <= set(dataset.subjects):
        write_json(path, split)
    else:
        path.unlink(missing_ok=True)


def _licence(dataset: Dataset) -> str:
    card = dataset.file.bench
    prepared = any(case.preparation for case in dataset.cases) and card.preparation.get("steps") != "channels"
    changed = "voxels were changed as `preparation` in cases/ says" if prepared else "no voxel was resampled"
    return (
        f"{dataset.file.licence}\n\n"
        f"The images and labels in this folder are a reformatted copy of: {card.source.collection}\n"
        f"DOI: {card.source.doi or 'none'}\n"
        f"Axes were turned to RAS+, file format and label codes changed; {changed}.\n"
        "The licence is that of the collection; it is named above, and its full text stands at the source.\n"
        f"Cite: {card.citation}\n"
    )
