"""nnU-Net v2: a raw dataset, `DatasetNNN_Name`, with our split as `splits_final.json`.

Isensee et al., Nature Methods 2021; layout of nnU-Net 2 (documentation/dataset_format.md of its repository).

    dataset.json                                  channel_names, labels, numTraining, file_ending, regions_class_order
    imagesTr/<case>_0000.nii.gz  labelsTr/<case>.nii.gz      training and validation side
    imagesTs/<case>_0000.nii.gz  labelsTs/<case>.nii.gz      test side, as far as it has labels
    imagesUn/<case>_0000.nii.gz                              cases without a label: nnU-Net never looks there
    splits_final.json                             [{"train": [...], "val": [...]}]

255 becomes the code after the last, which nnU-Net wants to be called `ignore`. nnU-Net paints predicted regions one
over the other, so regions come largest first, and an overlap that no order would paint is a label of its own.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from converters.dataset import Dataset, Split
from converters.export import IGNORED, Sides, copy, ignored, placed, sides, whole, write_label
from converters.files import write_bytes, write_json
from converters.kept import KEY, keep

_FOLDER = re.compile(r"Dataset\d{3}_\w[\w-]*")

Codes = int | tuple[int, ...]


def export(dataset: Dataset, out: Path, split: Split | None) -> None:
    """Write a raw dataset. With a split its test side stands in imagesTs, without one what the organiser held out."""
    ignore, there = ignored(dataset), sides(dataset, split)
    with whole(out) as root:
        for case, room in placed(there):
            for number, image in enumerate(case.images.values()):
                copy(dataset, image, root / f"images{room}" / f"{case.id}_{number:04d}.nii.gz")
            write_label(dataset, case, root / f"labels{room}" / f"{case.id}.nii.gz", ignore)
        _write_split(there, root)
        _write_description(dataset, root, sum(case.label is not None for case in (*there.train, *there.val)), ignore)


def notices(dataset: Dataset, out: Path) -> Iterator[str]:
    """What to do next."""
    if not _FOLDER.fullmatch(out.name):
        yield f"nnU-Net finds it by name: link or move {out.name} to $nnUNet_raw/Dataset901_{dataset.name}"
    if count := len(list((out / "imagesUn").glob("*_0000.nii.gz"))):
        yield f"{count} cases without a label stand in imagesUn, where nnU-Net does not look"


def _write_split(there: Sides, root: Path) -> None:
    """One fold; none where nothing would be validated, since nnU-Net cannot train without."""
    train, val = ([case.id for case in side if case.label is not None] for side in (there.train, there.val))
    if train and val:
        write_json(root / "splits_final.json", [{"train": train, "val": val}])


def _write_description(dataset: Dataset, root: Path, training: int, ignore: int | None) -> None:
    """dataset.json, in an order of its own: nnU-Net takes regions in the order in which the file names them."""
    labels, painted = paint(dataset.labels)
    kept = keep(dataset, without_annotations=True)
    value = {
        "name": dataset.name,
        "description": dataset.file.bench.source.collection,
        "reference": dataset.file.bench.citation,
        "licence": dataset.file.licence,
        "channel_names": {str(number): channel for number, channel in enumerate(dataset.channels)},
        "labels": {"background": 0, **labels} | ({} if ignore is None else {IGNORED: ignore}),
        "numTraining": training,
        "file_ending": ".nii.gz",
    }
    if painted:
        value["regions_class_order"] = painted
    value[KEY] = msgspec.to_builtins(kept, str_keys=True, order="sorted")
    write_bytes(root / "dataset.json", (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def paint(labels: Mapping[str, Codes]) -> tuple[dict[str, Codes], tuple[int, ...]]:
    """Labels in nnU-Net's order, and the code that each is painted with; no codes where no label is a region.

    Painted in this order, every set of structures that has a code of its own gets just that code.
    """
    regions = {name: value if isinstance(value, tuple) else (value,) for name, value in labels.items()}
    if all(len(codes) == 1 for codes in regions.values()):
        return {name: codes[0] for name, codes in regions.items()}, ()
    ordered = sorted(regions, key=lambda name: (-len(regions[name]), name))
    members = {
        code: [name for name in ordered if code in regions[name]] for codes in regions.values() for code in codes
    }
    own = {name: min(regions[name], key=lambda code: (len(members[code]), code)) for name in ordered}
    first: dict[tuple[str, ...], int] = {}
    for code in sorted(members):
        first.setdefault(tuple(members[code]), code)
    overlaps = {"+".join(names): code for names, code in first.items() if own[names[-1]] != code}
    overlaps = dict(sorted(overlaps.items(), key=lambda item: (len(members[item[1]]), item[1])))
    found: dict[str, Codes] = {name: labels[name] for name in ordered}
    return found | overlaps, (*own.values(), *overlaps.values())
