"""Medical Segmentation Decathlon: a task folder, which MONAI's Decathlon loader reads.

Antonelli et al., Nature Communications 2022 (doi 10.1038/s41467-022-30695-9).

    dataset.json              labels {"1": name}, modality {"0": name}, training [{image, label}], validation, test
    imagesTr/<case>.nii.gz  labelsTr/<case>.nii.gz      training and validation side
    imagesTs/<case>.nii.gz  labelsTs/<case>.nii.gz      test side; the list names the images alone
    imagesUn/<case>.nii.gz                              cases without a label, in no list

Several channels are one file whose last axis is the channel. The format has no regions: an overlap is a label of its
own, `heart+left lung`. It has no word for 255 either: that is the code after the last, called `ignore`, which a loss
must be told to leave out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters import nifti
from converters.dataset import Case, Dataset, Split
from converters.export import IGNORED, copy, ignored, placed, sides, voxels, whole, write_label
from converters.files import write_bytes, write_json
from converters.kept import KEY, keep

Lists = dict[str, list[dict[str, str]] | list[str]]


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write a task. With a split its test side stands in imagesTs, without one what the organiser held out."""
    ignore, there = ignored(dataset), sides(dataset, split)
    with whole(out) as root:
        for case, room in placed(there):
            _write_image(dataset, case, root / f"images{room}" / f"{case.id}.nii.gz")
            write_label(dataset, case, root / f"labels{room}" / f"{case.id}.nii.gz", ignore)
        lists: Lists = {
            "training": [_pair(case) for case in there.train if case.label is not None],
            "validation": [_pair(case) for case in there.val if case.label is not None],
            "test": [f"./imagesTs/{case.id}.nii.gz" for case in there.test],
        }
        write_json(root / "dataset.json", _description(dataset, ignore) | _counted(lists))


def notices(dataset: Dataset, out: Path) -> Iterator[str]:
    """What the format has no room for."""
    if ignored(dataset) is not None:
        yield f"the label '{IGNORED}' marks voxels that nobody annotated: tell the loss to leave it out"
    if count := len(list((out / "imagesUn").glob("*.nii.gz"))):
        yield f"{count} cases without a label stand in imagesUn, in no list of dataset.json"


def _write_image(dataset: Dataset, case: Case, to: Path) -> None:
    parts = list(case.images.values())
    if len(parts) == 1:
        copy(dataset, parts[0], to)
        return
    volumes = [voxels(dataset, part) for part in parts]
    kinds = {volume.array.dtype.name for volume in volumes}
    kind = kinds.pop() if len(kinds) == 1 else "float32"  # holds every value of int16 and uint16
    stacked = np.stack([volume.array.astype(kind, copy=False) for volume in volumes], axis=-1)
    write_bytes(to, nifti.encode(stacked, volumes[0].affine))


def _pair(case: Case) -> dict[str, str]:
    return {"image": f"./imagesTr/{case.id}.nii.gz", "label": f"./labelsTr/{case.id}.nii.gz"}


def _counted(lists: Lists) -> dict[str, object]:
    """The lists with the numbers of their entries; no list of validation where there is none."""
    counts = {"numTraining": len(lists["training"]), "numTest": len(lists["test"])}
    return counts | {name: entries for name, entries in lists.items() if entries or name != "validation"}


def _description(dataset: Dataset, ignore: int | None) -> dict[str, object]:
    card = dataset.file.bench
    names = {"0": "background"} | {str(code): name for code, name in named_codes(dataset).items()}
    return {
        "name": dataset.name,
        "description": card.source.collection,
        "reference": card.citation,
        "licence": dataset.file.licence,
        "release": card.version,
        "tensorImageSize": "4D" if len(card.channels) > 1 else "3D",
        "modality": {str(number): channel for number, channel in enumerate(dataset.channels)},
        "labels": names | ({} if ignore is None else {str(ignore): IGNORED}),
        KEY: keep(dataset, without_annotations=True),
    }


def named_codes(dataset: Dataset) -> dict[int, str]:
    """The structures that every code belongs to, joined by `+`."""
    members: dict[int, list[str]] = {}
    for name, value in sorted(dataset.labels.items()):
        for code in value if isinstance(value, tuple) else (value,):
            members.setdefault(code, []).append(name)
    return {code: "+".join(names) for code, names in sorted(members.items())}
