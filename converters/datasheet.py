"""Generated descriptions of a dataset folder, README.md, croissant.json and montage.png, from sidecars and card/."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec

from converters import casecard
from converters.casecard import SIDE, Legend
from converters.croissant import croissant
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import Fingerprint, natural_key, noting, sha256, write_bytes
from converters.readme import readme
from converters.sheet import MOST, sheet
from converters.tile import Grid, spread
from converters.volume import read_nifti
from converters.written import files_of, intact

_FILES = ("README.md", "LICENSE.txt", "montage.png")


def refresh(root: Path) -> None:
    """Make README.md, montage.png and croissant.json anew from sidecars, splits and card/; no voxel is read.

    Unchanged files are left alone.

    Raises:
        BenchError: `root` is no dataset, or a view.
    """
    publish(_dataset(root), (root / "dataset.json").read_bytes())


def remake(root: Path, advance: Callable[[int], object] = lambda _: None) -> Dataset:
    """Make card/ anew too: every image and reference label is read once.

    Args:
        root: the dataset's folder.
        advance: told of each case that is done.

    Raises:
        BenchError: `root` is no dataset, or a view, or holds other voxels than its sidecars name.
    """
    dataset = _dataset(root)
    for case in dataset.cases:
        with noting() as noted:
            sound = intact(root, case)
        if not sound:
            raise BenchError(f"{case.id}: the files are not those its sidecar names", where=root, mend="convert again")
        volumes = {file: read_nifti(root / file) for file in _drawn(case)}
        prints = {file: noted[root / file] for file in files_of(case)}
        casecard.write(root, case, prints, casecard.told(case, volumes, Legend.of(dataset)))
        advance(1)
    publish(dataset, (root / "dataset.json").read_bytes())
    return dataset


def publish(dataset: Dataset, described: bytes) -> None:
    """Write the descriptions of a dataset whose files lie in its folder.

    Args:
        dataset: what it is.
        described: its dataset.json, which may be written after this.
    """
    dataset, root = _by_code(dataset), dataset.root
    cards = {case.id: card for case in dataset.cases if (card := casecard.read(root, case)) is not None}
    pictures = [(case.id, cards[case.id][1]) for case in dataset.cases if case.id in cards]
    shown = [pictures[k] for k in spread(range(len(pictures)), MOST)] if pictures else []
    if shown:
        grid = Grid.of(dataset.cases[0].geometry, dataset.labels, dataset.file.bench.label_info)
        write_bytes(root / "montage.png", sheet(f"{dataset.name}, {dataset.channels[0]}", shown, grid, SIDE))
    else:
        (root / "montage.png").unlink(missing_ok=True)
    numbers = {case: card for case, (card, _) in cards.items()}
    write_bytes(root / "README.md", readme(dataset, numbers, len(shown)).encode())
    files = {name: data for card in numbers.values() for name, data in card.files.items()}
    write_bytes(root / "croissant.json", croissant(dataset, files | _small(dataset.root, described)))


def _by_code(dataset: Dataset) -> Dataset:
    """With its structures in the order of their codes, however they were read."""
    labels = sorted(dataset.file.labels.items(), key=lambda one: one[1] if isinstance(one[1], tuple) else (one[1],))
    return dataclasses.replace(dataset, file=msgspec.structs.replace(dataset.file, labels=dict(labels)))


def _small(root: Path, described: bytes) -> dict[str, Fingerprint]:
    """The descriptions and splits."""
    paths = [*(root / name for name in _FILES), *sorted((root / "splits").glob("*.json"), key=natural_key)]
    parts = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()}
    parts["dataset.json"] = described
    return {name: (len(data), sha256(data)) for name, data in parts.items()}


def _dataset(root: Path) -> Dataset:
    dataset = Dataset.load(root)
    if dataset.file.bench.parent is not None:
        raise BenchError("a view has no card of its own", where=root, mend="its dataset has one")
    for case in dataset.cases:
        if set(case.images) != set(dataset.channels):
            raise BenchError(f"{case.id}: its channels are not the dataset's", where=root, mend="bench check")
    return dataset


def _drawn(case: Case) -> list[str]:
    images = [image.file for image in case.images.values()]
    return images + ([case.label.file] if case.label else [])
