"""Made-up data of any size for measurements of cost: a raw dataset, the same converted, predictions, records."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench.growth.sizes import Size
from converters.convert import convert
from converters.dataset import Dataset
from converters.files import digest
from converters.phantoms.lump import save
from converters.volume import Volume, read_label, write_nifti
from leaderboards.record import FORMAT, CaseScore, Cost, Record

_AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
_NAME = "Dataset790_Growth"


def raw(work: Path, size: Size) -> Path:
    """A raw dataset in the layout of nnU-Net, written once: noise over a ball that is cut into sectors."""
    folder = work / f"raw-{_key(size)}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        for name in ("imagesTr", "labelsTr"):
            (draft / _NAME / name).mkdir(parents=True)
        label = _sectors(size)
        for case in range(size.cases):
            noise = np.random.default_rng(case).normal(0, 15, size.volume)
            image = (60 * label.astype(np.float32) + noise).astype(np.int16)
            save(draft / _NAME / "imagesTr" / f"c{case:04d}_0000.nii.gz", image, _AFFINE)
            save(draft / _NAME / "labelsTr" / f"c{case:04d}.nii.gz", label, _AFFINE)
        described = {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0} | {f"part{n}": n for n in range(1, size.classes + 1)},
            "numTraining": size.cases,
            "file_ending": ".nii.gz",
        }
        (draft / _NAME / "dataset.json").write_text(json.dumps(described))
        draft.rename(folder)
    return folder


def dataset(work: Path, size: Size) -> Dataset:
    """The same in the uniform format, converted once."""
    out = work / f"data-{_key(size)}"
    if not out.is_dir():
        draft = out.with_name(f"{out.name}.part")
        (report,) = convert("nnunet", raw(work, size), draft)
        if report.failures:
            raise report.failures[0]
        draft.rename(out)
    (root,) = (path.parent for path in out.glob("*/dataset.json"))
    return Dataset.load(root)


def predictions(work: Path, size: Size) -> Path:
    """The label maps moved by a voxel, written once."""
    folder = work / f"predictions-{_key(size)}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.part")
        known = dataset(work, size)
        for case in known.cases:
            assert case.label is not None
            label = read_label(known.path(case.label.file))
            write_nifti(draft / f"{case.id}.nii.gz", Volume(np.roll(label.array, 1, 0), label.affine))
        draft.rename(folder)
    return folder


def records(work: Path, size: Size) -> Path:
    """So many records of made-up runs, five seeds a method, written once."""
    folder = work / f"records-{size.records}"
    if not folder.is_dir():
        draft = folder.with_name(f"{folder.name}.part")
        for number, record in enumerate(_records(size.records)):
            record.save(draft / str(number) / "record.json")
        draft.rename(folder)
    return folder


def _records(count: int) -> Iterator[Record]:
    """Runs of methods that lie 0.002 apart, on 20 patients with two structures."""
    cost = Cost(
        seconds=60.0,
        items=100,
        items_per_s=2.0,
        peak_host_mib=900.0,
        peak_device_mib=None,
        batch=4,
        precision="fp32",
        segments=1,
    )
    for number in range(count):
        method, seed = divmod(number, 5)
        rng = np.random.default_rng(number)
        yield Record(
            status="done", reason=None, dataset="phantom-growth", split="default", protocol="full", draw="0",
            method=f"method-{method}", seed=seed, fold=0, selection="last", task="labels", annotator="dense",
            recipe={"seed": seed, "draw": 0, "train": {"method": f"method-{method}"}},
            digests={"dataset": "ab" * 32, "split": "cd" * 32}, definitions={"record": str(FORMAT)}, code={},
            machine={"cpu": "made up"}, budget=None, parameters=1000, train=cost, predict=cost,
            cases=tuple(_score(patient, label, rng, method) for patient in range(20) for label in ("a", "b")),
        )  # fmt: skip


def _score(patient: int, label: str, rng: np.random.Generator, method: int) -> CaseScore:
    hits = int(1000 * np.clip(rng.normal(0.9 - 0.002 * method, 0.02), 0, 1))
    return CaseScore(
        case=f"p{patient}", subject=f"p{patient}", group=None, label=label, status="ok", tp=hits, fp=1000 - hits,
        fn=1000 - hits, diagonal_mm=400.0, touches_border=False, ignored=0,
        metrics={"dice:v1": hits / 1000, "hd95:c6-bg-max:v1": round(float(rng.uniform(1, 9)), 3)},
    )  # fmt: skip


def _key(size: Size) -> str:
    return digest([size.cases, size.volume, size.classes])[:12]


def _sectors(size: Size) -> npt.NDArray[np.uint8]:
    """Shape: (X, Y, Z); 0 outside the ball, 1 to `classes` by the angle about its axis."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, edge) for edge in size.volume), indexing="ij")
    angle = np.minimum((np.arctan2(y, x) / (2 * np.pi) + 0.5) * size.classes, size.classes - 1)
    return np.where(x**2 + y**2 + z**2 < 0.7, angle.astype(np.uint8) + 1, 0).astype(np.uint8)
