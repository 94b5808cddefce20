"""Whether a test could see what training saw: the same voxels under two ids, one subject on two sides of a split."""

import itertools
from collections.abc import Iterator

import msgspec

from converters.dataset import Dataset, Split
from converters.errors import BenchError
from converters.files import natural_key, read_json
from converters.written import duplicates

SIDES = {"train": "training", "val": "validation", "test": "test"}


def same_images(dataset: Dataset) -> list[tuple[str, ...]]:
    """Groups of case ids that have the voxels of any channel in common."""
    groups = {
        tuple(ids)
        for channel in dataset.channels
        for ids in duplicates(
            msgspec.structs.replace(case, images={channel: case.images[channel]})
            for case in dataset.cases
            if channel in case.images
        )
    }
    return sorted(groups, key=lambda ids: tuple(map(natural_key, ids)))


def leaks(dataset: Dataset, split: Split) -> list[str]:
    """Everything that stands on two sides of the split, as sentences."""
    side = {subject: name for name in SIDES for subject in getattr(split, name)}
    subject = {case.id: case.subject for case in dataset.cases}
    found = list(split.check())
    for ids in same_images(dataset):
        sides = {case: side[subject[case]] for case in ids if subject[case] in side}
        if len(set(sides.values())) > 1:
            placed = ", ".join(f"{case} in {name}" for case, name in sides.items())
            found.append(f"split '{split.name}': the same image voxels on two sides: {placed}")
    return found


def verdict(dataset: Dataset) -> Iterator[str]:
    """What the leak check came to, as sentences: for the voxels, then for every split file that lies there."""
    groups = same_images(dataset)
    if not groups:
        yield f"No two of the {len(dataset.cases)} cases have the image voxels of a channel in common."
    for ids in groups:
        yield f"{', '.join(ids)} have image voxels in common."
    paths = sorted((dataset.root / "splits").glob("*.json"), key=natural_key)
    if not paths:
        yield "There is no split yet."
    for path in paths:
        yield _judged(dataset, path.stem)


def _judged(dataset: Dataset, name: str) -> str:
    try:
        split = read_json(dataset.root / "splits" / f"{name}.json", Split)
    except BenchError:
        return f"Split `{name}` cannot be read."
    if split.content_sha256 != dataset.file.bench.content_sha256:
        return f"Split `{name}` was made for other content."
    if found := leaks(dataset, split):
        return "; ".join(found) + "."
    counts = ", ".join(f"{len(getattr(split, side))} {word}" for side, word in SIDES.items())
    absent = {*itertools.chain(split.train, split.val, split.test)} - set(dataset.subjects)
    lacking = f"; {len(absent)} of them are not here" if absent else ""
    return f"Split `{name}` ({counts} subjects{lacking}): no subject and no image on two sides."
