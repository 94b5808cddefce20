"""A made-up raw folder and what `bench convert` makes of it, read with other eyes than the suite's own."""

import dataclasses
import hashlib
import importlib
import json
import re
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from bench.cli import main
from converters.phantoms.truth import LABEL, Probe

CASES, SEED = 2, 0


def run(*words: object) -> int:
    """`bench ...` in this process; its exit code."""
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return int(left.value.code or 0)


class Image:
    """One NIfTI file as nibabel sees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = nib.load(path)
        self.array = np.asanyarray(self.file.dataobj)
        self.affine = self.file.affine

    @property
    def digest(self) -> str:
        """The digest of `docs/format.md`, from its words."""
        head = f"{self.array.dtype.name} {'x'.join(map(str, self.array.shape))}\n".encode()
        place = (np.round(self.affine.astype(np.float32).astype(np.float64), 6) + 0.0).astype("<f8").tobytes()
        voxels = self.array.astype(self.array.dtype.newbyteorder("<")).tobytes(order="F")
        return hashlib.sha256(head + place + voxels).hexdigest()


def value_at(array: np.ndarray, affine: np.ndarray, point: tuple[float, float, float]) -> float:
    """The voxel whose centre lies at a world point; NaN where there is none."""
    index = (np.linalg.inv(affine) @ [*point, 1.0])[:3]
    nearest = np.rint(index).astype(int)
    if np.abs(index - nearest).max() > 0.02 or (nearest < 0).any() or (nearest >= array.shape).any():
        return float("nan")
    return float(array[tuple(nearest)])


@dataclasses.dataclass(frozen=True)
class Folder:
    """One converted dataset."""

    root: Path

    @cached_property
    def top(self) -> Any:
        """dataset.json."""
        return json.loads((self.root / "dataset.json").read_text(encoding="utf-8"))

    @cached_property
    def cases(self) -> list[Any]:
        """The sidecars."""
        paths = sorted((self.root / "cases").glob("*.json"))
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    @property
    def channels(self) -> list[str]:
        """Channel names in order."""
        return [channel["name"] for channel in self.top["bench"]["channels"]]

    @property
    def codes(self) -> set[int]:
        """Every code of the label map."""
        values = self.top["labels"].values()
        return {code for value in values for code in (value if isinstance(value, list) else [value])}

    def labels(self, case: Any) -> dict[str, Any]:
        """Part name -> what the sidecar says of the label map."""
        return ({LABEL: case["label"]} if case["label"] else {}) | case["annotations"]

    def files(self, case: Any) -> dict[str, Any]:
        """Part name -> what the sidecar says of the file, images and label maps."""
        return case["images"] | self.labels(case)

    def parts(self) -> Iterator[tuple[Any, str, Any, Image]]:
        """(case, part, what the sidecar says, the file) of every file."""
        for case in self.cases:
            for part, said in self.files(case).items():
                yield case, part, said, Image(self.root / said["file"])


@dataclasses.dataclass(frozen=True)
class World:
    """A source's made-up raw folder, converted once."""

    source: str
    raw: Path
    out: Path

    @classmethod
    def make(cls, source: str, room: Path) -> "World":
        """Write the patients, convert them."""
        world = cls(source, room / "raw", room / "data")
        world.phantom.write(world.raw, CASES, SEED)
        assert world.convert() == 0
        return world

    @property
    def phantom(self) -> Any:
        """The module that writes the raw folder."""
        return importlib.import_module(f"converters.phantoms.{self.source}")

    def convert(self, raw: Path | None = None, out: Path | None = None, *words: object) -> int:
        """`bench convert`; its exit code."""
        return run("convert", self.source, raw or self.raw, out or self.out, *words)

    @property
    def folders(self) -> list[Folder]:
        """Every dataset that came out."""
        return [Folder(path) for path in sorted(self.out.iterdir())]

    @property
    def labelled(self) -> list[Folder]:
        """Those with reference labels."""
        return [folder for folder in self.folders if any(case["label"] for case in folder.cases)]

    @cached_property
    def truth(self) -> dict[tuple[str, str, str], list[Probe]]:
        """(dataset, native id, part) -> what must stand where."""
        found: dict[tuple[str, str, str], list[Probe]] = {}
        for probe in self.phantom.truth(CASES, SEED):
            found.setdefault((f"phantom-{probe.dataset}", probe.case, probe.part), []).append(probe)
        return found

    def copy(self, raw: Path) -> Path:
        """The raw folder once more, to be spoilt."""
        return shutil.copytree(self.raw, raw)


def contents(folder: Path) -> dict[str, str]:
    """Every file below the folder with the digest of its bytes."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below the folder: inode, size, time of the last change."""
    files = {path.relative_to(folder).as_posix(): path.lstat() for path in folder.rglob("*") if path.is_file()}
    return {name: (found.st_ino, found.st_size, found.st_mtime_ns) for name, found in files.items()}


def canonical(value: object) -> bytes:
    """Canonical JSON of `docs/format.md`, from its words."""
    return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def refused_by_nnunet(root: Path) -> list[str]:
    """What nnU-Net v2 would refuse of a raw dataset, by its documented rules."""
    top = json.loads((root / "dataset.json").read_text(encoding="utf-8"))
    if absent := [key for key in ("channel_names", "labels", "numTraining", "file_ending") if key not in top]:
        return [f"no {absent}"]
    labels, channels = dict(top["labels"]), top["channel_names"]
    ignore = [labels.pop("ignore")] if "ignore" in labels else []
    codes = sorted({code for v in labels.values() for code in (v if isinstance(v, list) else [v])})
    painted = len(top.get("regions_class_order", ()))
    regions = len(labels) - 1 if any(isinstance(value, list) for value in labels.values()) else 0
    rules = {
        f"labels {labels} are not consecutive from background 0": labels["background"] == 0
        and codes == list(range(len(codes))),
        f"ignore is {ignore}, not the highest code": ignore in ([], [codes[-1] + 1]),
        f"{painted} in regions_class_order for {regions} regions": painted == regions,
        f"channels {channels} are not numbered from 0": set(channels) == {str(n) for n in range(len(channels))},
        **_files_for_nnunet(root, top, {*codes, *ignore}),
    }
    return [told for told, kept in rules.items() if not kept]


def _files_for_nnunet(root: Path, top: Any, allowed: set[int]) -> dict[str, bool]:
    """Rules about files: names in both folders, grids, values."""
    ending, channels = top["file_ending"], range(len(top["channel_names"]))
    marks = sorted(path.name.removesuffix(ending) for path in (root / "labelsTr").iterdir())
    images = sorted(path.name for path in (root / "imagesTr").iterdir())
    rules = {
        f"images {images} for labels {marks}": images
        == sorted(f"{m}_{n:04d}{ending}" for m in marks for n in channels),
        f"numTraining {top['numTraining']} for labels {marks}": top["numTraining"] == len(marks) > 0,
    }
    for mark in marks:
        label = Image(root / "labelsTr" / f"{mark}{ending}")
        values = set(np.unique(label.array).tolist())
        rules[f"{mark}: values {values}"] = values <= allowed
        for number in channels:
            image = Image(root / "imagesTr" / f"{mark}_{number:04d}{ending}")
            same = image.array.shape == label.array.shape and np.allclose(image.affine, label.affine, atol=1e-4)
            rules[f"{mark}: image {number} and label differ in grid"] = same
    return rules


def is_text(path: Path) -> bool:
    """Files that people read."""
    return path.is_file() and path.suffix not in (".gz", ".png", ".npz")


# An id is a name: no path, no hidden file, no case to lose, no device of Windows.
LEGAL_ID = re.compile(r"(?!(con|prn|aux|nul|com\d|lpt\d)$)[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")
