"""What is fuzzed: each target is a function of bytes, with seeds made by code. What it may raise is BenchError alone.

A target's first byte says how the rest is meant: as a file as it stands, or as changes of a sound one.
"""

import contextlib
import gzip
import io
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from dicom_series import ORIGIN, plane
from edits import edited
from manyrecords import record
from tiny import tiny_dataset

from bench import recipe, sweep
from bench.splits import freeze_default
from converters import archives, nifti
from converters.check import check
from converters.dataset import Dataset
from converters.dicom import read_series
from converters.errors import BenchError
from converters.files import canonical_json
from converters.folder_read import read_config
from converters.itk import read_itk
from converters.spreadsheet import numbers
from converters.volume import read_label, read_nifti
from leaderboards import collect, columns, export, render
from leaderboards.table import rows

RAW = 0  # a first byte from which on the rest is a file as it stands
EDITED = 128  # and from which on it is changes


class Target(NamedTuple):
    """One thing that reads what strangers send."""

    one: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def room() -> Path:
    """A folder of this process, removed at its end."""
    kept = tempfile.TemporaryDirectory(prefix="bench-fuzz-")
    _KEPT.append(kept)
    return Path(kept.name).resolve()


_KEPT: list[object] = []


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Refusing is right; everything else that is raised is a finding."""
    with contextlib.suppress(BenchError):
        yield


def _file(name: str, data: bytes) -> Path:
    path = room() / name
    path.write_bytes(data)
    return path


# NIfTI, and the other formats of volumes.


def volume(data: bytes) -> None:
    """NIfTI plain, packed here, or packed as it stands; MetaImage; NRRD."""
    kind, body = data[:1], data[1:]
    mode = (kind or b"\0")[0] % 8
    if mode >= 6:
        with refusals():
            read_itk(_file("x.mha" if mode == 6 else "x.nrrd", body))
        return
    packed = mode in (1, 2, 4)
    path = _file("x.nii.gz" if packed else "x.nii", gzip.compress(body, 1) if mode == 1 else body)
    for read in (nifti.decode, nifti.decode_channels, nifti.shape, read_nifti, read_label):
        with refusals():
            read(path)


def volume_seeds() -> list[bytes]:
    """Small images of each type, and one of channels."""
    affine = np.diag([1.5, 1.5, 8.0, 1.0])
    made = []
    for kind in ("uint8", "int16", "float32"):
        packed = nifti.encode(np.arange(24).reshape(2, 3, 4).astype(kind), affine)
        made += [b"\0" + gzip.decompress(packed), b"\1" + gzip.decompress(packed), b"\2" + packed]
    made.append(b"\0" + gzip.decompress(nifti.encode(np.zeros((2, 2, 2, 3), np.float32), affine)))
    meta = (
        b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = False\n"
        b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementSpacing = 1 1 2\nDimSize = 2 2 2\n"
        b"ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    nrrd = (
        b"NRRD0004\ntype: unsigned char\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\n"
        b"space directions: (1,0,0) (0,1,0) (0,0,2)\nkinds: domain domain domain\nencoding: raw\n"
        b"space origin: (0,0,0)\n\n"
    )
    return [*made, b"\6" + meta + bytes(range(8)), b"\7" + nrrd + bytes(range(8))]


# A dataset: its description, a sidecar, a split.


@cache
def _dataset() -> tuple[Path, dict[str, bytes]]:
    root = room() / "tiny"
    freeze_default(tiny_dataset(root, 3, shape=(6, 5, 2), scribbles=True))
    names = ("dataset.json", "cases/s00-ed.json", "splits/default.json")
    return root, {name: (root / name).read_bytes() for name in names}


def dataset(data: bytes) -> None:
    """Loads and checks a dataset of which one JSON file was changed or replaced."""
    root, sound = _dataset()
    mode, body = (data or b"\0")[0], data[1:]
    name = list(sound)[mode % len(sound)]
    (root / name).write_bytes(edited(sound[name], body) if mode >= EDITED else body)
    try:
        with refusals():
            found = Dataset.load(root)
            found.content_sha256()
            found.split("default")
        with refusals():
            assert all(isinstance(sentence, str) for sentence in check(root))
    finally:
        (root / name).write_bytes(sound[name])


def dataset_seeds() -> list[bytes]:
    """Each file as it stands, and with one change."""
    _, sound = _dataset()
    whole = [bytes([number]) + text for number, text in enumerate(sound.values())]
    return [*whole, *_changes()]


def _changes() -> list[bytes]:
    """One of each kind of change, for each of three files."""
    return [bytes([EDITED + file, 0, 3, how, 7 * how % 40]) for file in range(3) for how in (0, 170, 200, 230)]


# A record, and the tables of it.


@cache
def _record() -> bytes:
    return canonical_json(record(("phantom-tiny", "full", "method_1", 0), 0, 2))


def table(data: bytes) -> None:
    """Loads a changed record beside a sound one, and writes every kind of table of what is left."""
    mode, body = (data or b"\0")[0], data[1:]
    folder = room() / "runs"
    for name, text in {"a": _record(), "b": edited(_record(), body) if mode >= EDITED else body}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "record.json").write_bytes(text)
    found = collect.load([folder])
    assert any(one.id() for one in found.records)
    with refusals():
        made, _ = rows(found.records, found.verified)
        shown = columns.tables(made, per_label=True)
        for write in (render.markdown, render.latex, render.html):
            assert all(write(one) for one in shown)
        assert export.csv_text(made, {}) and export.json_text(made, {})


def table_seeds() -> list[bytes]:
    """A sound record and single changes of it."""
    return [bytes([RAW]) + _record(), *_changes()]


# An archive.

_KINDS = (".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz")


def archive(data: bytes) -> None:
    """Unpacks, or refuses and leaves nothing; whatever comes out lies inside and is a plain file or folder."""
    mode, body = (data or b"\0")[0], data[1:]
    folder = Path(tempfile.mkdtemp(dir=room()))
    path = folder / f"x{_KINDS[mode % len(_KINDS)]}"
    path.write_bytes(gzip.compress(body, 1) if mode >= EDITED and path.suffix == ".gz" else body)
    try:
        with refusals():
            archives.unpack(path, folder / "in" / "to", archives.Limits(entries=100, size=1 << 24, small=1 << 22))
        strange = [p for p in folder.rglob("*") if p.is_symlink() or not (p.is_file() or p.is_dir())]
        assert not strange, strange
        there = {p.name for p in folder.iterdir()} - {path.name, "in"}
        assert not there, there
        assert {p.name for p in (folder / "in").glob("*")} <= {"to"}
    finally:
        _clear(folder)


def _clear(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder)


def archive_seeds() -> list[bytes]:
    """A folder and a file in each kind."""
    made = []
    for number, kind in enumerate(_KINDS):
        held = io.BytesIO()
        if kind == ".zip":
            with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as box:
                box.writestr("a/x.txt", b"x" * 40)
        else:
            with tarfile.open(fileobj=held, mode=f"w:{kind.removeprefix('.tar').removeprefix('.')}") as tar:
                entry = tarfile.TarInfo("a/x.txt")
                entry.size = 40
                tar.addfile(entry, io.BytesIO(b"x" * 40))
        made.append(bytes([number]) + held.getvalue())
    plain = made[1][1:]
    return [*made, bytes([EDITED + 4]) + plain]  # 132 % 5 == 2: packed here


# DICOM.


@cache
def _slices() -> tuple[bytes, ...]:
    made = []
    for k in range(3):
        held = io.BytesIO()
        stored = np.arange(12, dtype=np.uint16).reshape(3, 4) + k
        plane(stored, (*ORIGIN[:2], 5.0 * k), k, "CT").save_as(held, enforce_file_format=True)
        made.append(held.getvalue())
    return tuple(made)


def dicom(data: bytes) -> None:
    """Reads a series whose middle slice is what came in, or a sound one with these bytes put over its header."""
    mode, body = (data or b"\0")[0], data[1:]
    folder = room() / "series"
    folder.mkdir(exist_ok=True)
    changed = _patched(_slices()[1], body) if mode >= EDITED else body
    for name, text in zip("abc", (_slices()[0], changed, _slices()[2]), strict=True):
        (folder / f"{name}.dcm").write_bytes(text)
    with refusals():
        read_series(sorted(folder.iterdir()))
    with refusals():
        read_series([folder / "b.dcm"], allow_gaps=True)


def _patched(sound: bytes, body: bytes) -> bytes:
    changed = bytearray(sound)
    for start in range(0, len(body) - 2, 3):
        at = 128 + int.from_bytes(body[start : start + 2], "big") % (len(changed) - 128)
        changed[at] = body[start + 2]
    return bytes(changed)


def dicom_seeds() -> list[bytes]:
    """A slice, the same without its preamble, and one byte of it changed."""
    whole = _slices()[1]
    return [bytes([RAW]) + whole, bytes([RAW]) + whole[132:], bytes([EDITED, 0, 40, 7])]


# What people type: sweeps, recipes, the description of a folder; and a spreadsheet.


def typed(data: bytes) -> None:
    """A sweep, a recipe, a folder's description, each read as its command reads it."""
    mode, body = (data or b"\0")[0], data[1:]
    path = _file("x.toml", body)
    with refusals():
        if mode % 4 == 0:
            sweep.read(path)
        elif mode % 4 == 1:
            recipe.resolve(recipe.Choice(dataset="acdc", preset="demo", config=path), bf16=False)
        elif mode % 4 == 2:
            read_config(path)
        else:
            numbers(_file("x.xls", body), "Table", ["AGE"])


def typed_seeds() -> list[bytes]:
    """What the documents show."""
    swept = b'[defaults]\ndataset = "acdc"\ntrain.steps = 5\n[methods.gce]\ntrain.terms = {q = 0.7}\n[[run]]\n'
    swept += b'method = ["supervised", "gce"]\nprotocol = "semi10"\nseed = [0, 1]\n'
    ours = b'seed = 3\nselection = "last"\n[train]\nsteps = 10\npatch = [16, 16]\n'
    ours += b"net = {widths = [4, 8], dropout = [0, 0]}\n"
    folder = b'name = "mine"\nlicence = "CC0-1.0"\ncitation = "me"\nmodality = "CT"\nndim = 2\nimages = "scans"\n'
    folder += (
        b'masks = "masks/{stem}.png"\nsubject = "(p[0-9]+).*"\n[labels]\nlung = "#0000ff"\ntumour = ["#ff0000", 3]\n'
    )
    return [b"\0" + swept, b"\1" + ours, b"\2" + folder, b"\3\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)]


TARGETS = {
    "volume": Target(volume, volume_seeds),
    "dataset": Target(dataset, dataset_seeds),
    "table": Target(table, table_seeds),
    "archive": Target(archive, archive_seeds),
    "dicom": Target(dicom, dicom_seeds),
    "typed": Target(typed, typed_seeds),
}
