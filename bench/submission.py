"""Runs packed for others: records with their predictions and, if wanted, weights; a folder, or a zip of it."""

import dataclasses
import os
import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from baselines.inputs import INPUTS
from baselines.task import LABELS
from bench import task_pack
from bench.matching import nifti_files
from converters.errors import BenchError
from converters.files import Strict, inside, read_json, replacing, sha256, write_bytes, write_json
from converters.volume import Volume, data_sha256, read_label, write_nifti
from leaderboards.record import Record
from leaderboards.rule import PREDICTION
from leaderboards.verification import beside

FORMAT = 1
MANIFEST = "submission.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first date a zip can hold
_MODEL = ("model.safetensors", "model.json")


class PackedRun(Strict):
    """One run of a submission. Paths are relative to the submission's folder."""

    id: str  # of the record
    record: str
    predictions: str  # folder of <case>.nii.gz, or <case>.json
    model: str | None  # folder of model.safetensors, model.json and, of newer runs, inputs.json
    files: dict[str, str]  # everything of this run -> sha256 of its bytes


class Submission(Strict):
    """submission.json: what is in the box."""

    runs: tuple[PackedRun, ...]
    format: int = FORMAT

    @classmethod
    def load(cls, folder: Path, shown: Path | None = None) -> "Submission":
        """The manifest of a folder, every file of which is the one it names, and no other there.

        `shown` is what a person has of it, where that is a zip and this the folder it was unpacked into.

        Raises:
            BenchError: the manifest is malformed or of a newer format; a file is absent, another, or not named.
        """
        found, shown = read_json(folder / MANIFEST, cls), shown or folder
        if found.format > FORMAT:
            raise BenchError(
                f"submission format {found.format} is newer than {FORMAT}", where=shown, mend="update frugalseg"
            )
        if strange := [run.record for run in found.runs if run.record not in run.files]:
            raise BenchError(f"record {strange[0]!r} is not among the files of its run", where=shown)
        named = {name: value for run in found.runs for name, value in run.files.items()}
        for name, value in named.items():
            path = inside(folder, name)
            if not path.is_file() or sha256(path.read_bytes()) != value:
                raise BenchError(f"{name} is {'another file' if path.is_file() else 'absent'}", where=shown)
        there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        sidecars = {beside(Path(run.record)).as_posix() for run in found.runs}
        if more := sorted(there - set(named) - sidecars - {MANIFEST}):
            raise BenchError(f"{len(more)} files that the manifest does not name, the first is {more[0]}", where=shown)
        return found


@dataclasses.dataclass(frozen=True)
class Source:
    """A run to be packed, and where its predictions lie."""

    folder: Path
    record: Record
    predictions: Path

    @classmethod
    def at(cls, folder: Path, predictions: Path | None) -> "Source":
        """A run folder, or a record file.

        Raises:
            BenchError: there is no record, or it is malformed.
        """
        file = folder if folder.is_file() else folder / "record.json"
        return cls(file.parent, Record.load(file), predictions or file.parent / "predictions")


def name_of(record: Record, digest12: str | None = None) -> str:
    """`semi10-gce-92d32a08bafd`: what a record is called among the records of its dataset."""
    return f"{safe(record.protocol)}-{safe(record.method)}-{digest12 or record.id()[:12]}"


def safe(name: str) -> str:
    """A name that anybody typed, as a part of a path."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", name)[:64].strip("-") or "unnamed"


def pack(sources: Sequence[Source], out: Path, *, with_models: bool) -> Submission:
    """Write a submission, whole or not at all: a zip where `out` ends so, else a folder.

    Label maps are written anew, so that no header of another tool goes along; those of invalid cases stay out.

    Raises:
        BenchError: `out` is there already, two runs are the same, a prediction is absent or is the reference itself.
    """
    if out.exists():
        raise BenchError("there is something already", where=out, mend="give a new name, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f".{out.name}.{os.getpid()}.d.tmp")
    try:
        made = Submission(runs=tuple(_pack(source, draft, with_models) for source in sources))
        if len({run.id for run in made.runs}) < len(made.runs):
            raise BenchError("one run stands there twice", mend="name each run once")
        write_json(draft / MANIFEST, made)
        if out.suffix == ".zip":
            with replacing(out) as temporary:
                _zip(draft, temporary)
        else:
            draft.replace(out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def keep(source: Source, record: Record, out: Path, *, by_id: bool = False) -> Path:
    """Write a record as the committed ones are: `<out>/<dataset>/<protocol>-<method>-<run>.json`, its log beside it.

    `by_id`: the folder's name is a stranger's, and could be chosen to replace somebody else's record.
    """
    stem = name_of(record, source.folder.name if _is_run(source.folder) and not by_id else None)
    path = out / safe(record.dataset) / f"{stem}.json"
    record.save(path)
    log = source.folder / "model" / "log.jsonl"
    if log.is_file():
        write_bytes(path.with_name(f"{stem}.log.jsonl"), log.read_bytes())
    return path


def _pack(source: Source, root: Path, with_models: bool) -> PackedRun:
    record = source.record
    name = f"{safe(record.dataset)}-{name_of(record)}"
    folder = root / name
    write_json(folder / "record.json", record)
    (folder / "predictions").mkdir(parents=True, exist_ok=True)
    if record.task == LABELS:
        for case, volume in _predictions(source):
            write_nifti(inside(folder / "predictions", f"{case}.nii.gz"), volume)
    else:
        for case, said in task_pack.values(record, source.predictions):
            write_json(inside(folder / "predictions", f"{case}.json"), said)
    wanted = ("log.jsonl", *_MODEL, INPUTS) if with_models else ("log.jsonl",)
    for file in wanted:
        path = source.folder / "model" / file
        if path.is_file():
            write_bytes(folder / "model" / file, path.read_bytes())
        elif file in _MODEL:
            raise BenchError(f"there is no {file}", where=path.parent, mend="leave out --with-models")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return PackedRun(
        id=record.id(),
        record=f"{name}/record.json",
        predictions=f"{name}/predictions",
        model=f"{name}/model" if with_models else None,
        files={path.relative_to(root).as_posix(): sha256(path.read_bytes()) for path in files},
    )


def _predictions(source: Source) -> Iterator[tuple[str, Volume]]:
    """The label map of every case that is not invalid, found by its digest, whatever its file is called."""
    record = source.record
    files = _by_digest(source.predictions)
    invalid = {score.case for score in record.cases if score.status == "invalid"}
    for key, wanted in sorted(record.digests.items()):
        case = key.removeprefix(PREDICTION)
        if case == key or case in invalid:
            continue
        if wanted not in files:
            raise BenchError(
                f"no file here holds the prediction of case {case}",
                where=source.predictions,
                mend="--predictions FOLDER: the one that was scored",
            )
        if _gives_away(record, case):
            raise BenchError(
                f"the prediction of case {case} is its reference label",
                where=files[wanted],
                mend="a submission holds what a method predicted; references belong to their owners",
            )
        yield case, read_label(files[wanted])


def _by_digest(folder: Path) -> Mapping[str, Path]:
    found: dict[str, Path] = {}
    for one in (folder, *sorted(path for path in folder.glob("*") if path.is_dir())):
        for path in nifti_files(one):
            try:
                found.setdefault(data_sha256(read_label(path)), path)
            except (BenchError, OSError):
                continue  # an image, or a damaged file: no prediction that anything was scored with
    return found


def _gives_away(record: Record, case: str) -> bool:
    """Whether a prediction is equal to the reference in every voxel. Phantoms have nothing to give away."""
    scores = [score for score in record.cases if score.case == case]
    same = all(score.fp == score.fn == 0 for score in scores) and any(score.tp for score in scores)
    return same and not record.dataset.startswith("phantom-")


def _zip(folder: Path, out: Path) -> None:
    """Stored, not compressed: label maps and weights do not shrink, and every zlib would write other bytes."""
    with zipfile.ZipFile(out, "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            archive.writestr(entry, path.read_bytes())


def _is_run(folder: Path) -> bool:
    """Whether a folder is named by the digest of a plan, as `bench run` does it."""
    return len(folder.name) == 12 and set(folder.name) <= set("0123456789abcdef")
