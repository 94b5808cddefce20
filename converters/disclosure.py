"""What a view says of its cases and its dataset, named field by field: what nobody chose to show stays hidden."""

import dataclasses
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import msgspec

from converters.dataset import Annotation, Case, Dataset, ImageFile
from converters.description import Card, DatasetFile, Parent
from converters.errors import BenchError
from converters.export import voxels
from converters.files import digest

Meta = Mapping[str, str | float]


def sidecar(case: Case, label: Annotation | None, root: Path, out: Path, meta: Meta = MappingProxyType({})) -> Case:
    """A case of the dataset in `root` as the view in `out` describes it, with the label map and facts it shows."""
    return Case(
        id=case.id,
        native_id=case.id,
        subject=case.subject,
        geometry=case.geometry,
        images={
            channel: ImageFile(
                file=Path(os.path.relpath(root.resolve() / image.file, out.resolve())).as_posix(),
                dtype=image.dtype,
                data_sha256=image.data_sha256,
                range=image.range,
            )
            for channel, image in case.images.items()
        },
        label=label,
        meta=dict(meta),
    )


def values_sha256(cases: Iterable[Case]) -> str:
    """Digest of the facts that a view shows of its cases; the content hash leaves them out."""
    return digest([[case.id, case.meta] for case in cases if case.meta])


def description(dataset: Dataset, cases: tuple[Case, ...], parent: Parent, content: str) -> DatasetFile:
    """The dataset.json of a view; `content` is the view's own content hash."""
    card, subjects = dataset.file.bench, {case.subject for case in cases}
    return DatasetFile(
        name=dataset.name,
        licence=dataset.file.licence,
        channel_names=dataset.file.channel_names,
        labels=dataset.file.labels,
        numTraining=sum(case.label is not None and _stands_in(case, "imagesTr") for case in cases),
        regions_class_order=dataset.file.regions_class_order,
        bench=Card(
            format=card.format,
            ndim=card.ndim,
            version=card.version,
            citation=card.citation,
            source=msgspec.structs.replace(card.source, sha256=""),  # covers the label files too
            channels=card.channels,
            label_info=card.label_info,
            content_sha256=content,
            converter=card.converter,
            nsd_tolerances_mm=card.nsd_tolerances_mm,
            copies=tuple(here for group in card.copies if len(here := tuple(s for s in group if s in subjects)) > 1),
            parent=parent,
        ),
    )


def save(dataset: Dataset, cases: tuple[Case, ...], parent: Parent, folder: Path) -> None:
    """Write dataset.json and the sidecars of a view into a folder that holds its labels."""
    seen = Dataset(folder, description(dataset, cases, parent, ""), cases)
    dataclasses.replace(seen, file=description(dataset, cases, parent, seen.content_sha256())).save()


def there(out: Path, parent: Parent) -> Dataset:
    """The view that lies in `out`.

    Raises:
        BenchError: something else lies there, or not the whole of it.
    """
    mend = "give another folder, or remove this one"
    if not (out / "dataset.json").is_file():
        raise BenchError("the folder holds something else than a view", where=out, mend=mend)
    seen = Dataset.load(out)
    if seen.file.bench.parent != parent:
        raise BenchError("the folder holds another dataset or view", where=out, mend=mend)
    images = [seen.path(image.file) for case in seen.cases for image in case.images.values()]
    if seen.content_sha256() != seen.file.bench.content_sha256 or not all(image.is_file() for image in images):
        raise BenchError("the view that lies here is not whole, or its dataset has moved", where=out, mend=mend)
    if parent.protocol.get("values_sha256", values_sha256(())) != values_sha256(seen.cases):
        raise BenchError("the values in the view that lies here are not those it was made with", where=out, mend=mend)
    for case in seen.cases:
        if case.label is not None:
            voxels(seen, case.label)
    return seen


def _stands_in(case: Case, folder: str) -> bool:
    return all(Path(image.file).parent.name == folder for image in case.images.values())
