"""One case: what a source loads becomes checked NIfTI files in RAS+ and a sidecar, or nothing at all."""

import dataclasses
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from converters import casecard
from converters.casecard import Legend
from converters.dataset import Case, SourceFile
from converters.describe import CONVERTER, arranged, describe
from converters.errors import BenchError
from converters.files import Fingerprint, noting, read, safe_id, sha256, write_bytes, write_json
from converters.job import Job
from converters.nifti import encode
from converters.source import Info, Loaded
from converters.volume import Volume
from converters.written import card_of, files_of, intact


@dataclasses.dataclass(frozen=True)
class Conformed:
    """The case as it now lies on disk."""

    case: Case
    written: bool  # False: it lay there already
    bytes: int  # of its source files


def conform(job: Job) -> Conformed:
    """Bring one case to disk. Every source file is read once: its digest is taken of the bytes that were parsed.

    Where source files, converter version, voxels and card are as the sidecar says, nothing is loaded or written.

    Raises:
        BenchError: the source files do not make a sound case; nothing of it was written.
    """
    before = job.earlier()
    if before is not None:
        sources = _sources(job, {})
        if _describes(before, job, sources) and _whole(job.root, before):
            return Conformed(before, False, _size(sources))
    with noting() as noted:
        loaded = job.case.load()
    check_grids(job.info, loaded)
    sources = _sources(job, noted)
    case = _write(job, loaded, sources, before)
    return Conformed(case, True, _size(sources))


def _whole(root: Path, case: Case) -> bool:
    """True when the files of the case, and those of the card that tell of it, are as they were written."""
    with noting() as noted:
        sound = intact(root, case)
    card = casecard.read(root, case) if sound else None
    return card is not None and card[0].files == {file: noted[root / file] for file in files_of(case)}


def _sources(job: Job, noted: Mapping[Path, Fingerprint]) -> tuple[SourceFile, ...]:
    with noting() as rest:
        for path in job.case.files:
            if path not in noted:
                read(path)
    known = {**noted, **rest}
    return tuple(
        SourceFile(path=_name(path, job.raw), bytes=known[path][0], sha256=known[path][1]) for path in job.case.files
    )


def _name(path: Path, raw: Path) -> str:
    """The path below the raw folder; of a file elsewhere, such as a label map of the user's own, the name alone."""
    return path.relative_to(raw).as_posix() if path.is_relative_to(raw) else f"elsewhere/{path.name}"


def _size(sources: tuple[SourceFile, ...]) -> int:
    return sum(file.bytes for file in sources)


def _describes(case: Case, job: Job, sources: tuple[SourceFile, ...]) -> bool:
    known = (case.converter, case.native_id, case.subject, dict(case.meta), case.sources)
    asked = dict(job.info.preparation).items()
    same = known == (CONVERTER, job.case.native_id, safe_id(job.case.subject), dict(job.case.meta), sources)
    return same and asked <= case.preparation.items() and bool(asked) == bool(case.preparation)


def check_grids(info: Info, loaded: Loaded) -> None:
    """Refuse other channels than the dataset's, and volumes of a case on several grids.

    Raises:
        BenchError: says which, and how far they are apart.
    """
    wanted = [channel.name for channel in info.channels]
    if list(loaded.images) != wanted:
        raise BenchError(f"channels {list(loaded.images)}; {info.name} has {wanted}")
    first, *others = loaded.images.items()
    parts = {f"channel {name}": volume for name, volume in others}
    if loaded.label is not None:
        parts["label"] = loaded.label
    parts |= dict(loaded.annotations)
    for name, volume in parts.items():
        _check_grid(f"channel {first[0]}", first[1], name, volume)


def _check_grid(reference: str, image: Volume, name: str, volume: Volume) -> None:
    if volume.same_grid(image):
        return
    if volume.shape != image.shape:
        sizes = ["x".join(map(str, v.shape)) for v in (volume, image)]
        what = f"{name} has {sizes[0]} voxels, {reference} has {sizes[1]}"
    else:
        what = f"{name} and {reference} lie {volume.distance(image):.3g} mm apart"
    raise BenchError(what, mend="take the files that belong together; nothing is resampled unless it is asked for")


def _write(job: Job, loaded: Loaded, sources: tuple[SourceFile, ...], before: Case | None) -> Case:
    """All files, packed in a thread beside the digests, then the sidecar; a failure takes back what is new."""
    volumes = arranged(job, loaded)
    new = [file for file in (*volumes, *card_of(job.id)) if not (job.root / file).exists()]
    legend = Legend(job.info.labels, job.info.label_info, job.info.channels)
    try:
        with ThreadPoolExecutor(1) as hashing, ThreadPoolExecutor(1) as packing:
            packed = {file: packing.submit(_pack, job.root / file, volume, hashing) for file, volume in volumes.items()}
            case = describe(job, loaded, volumes, sources)
            told = casecard.told(case, volumes, legend)
        casecard.write(job.root, case, {file: packed[file].result() for file in volumes}, told)
        for file in files_of(before).keys() - volumes.keys() if before else ():
            (job.root / file).unlink(missing_ok=True)  # of a case that had no label before, or has none any more
        write_json(job.sidecar, case)
    except BaseException:
        for file in new:
            (job.root / file).unlink(missing_ok=True)
        raise
    return case


def _pack(path: Path, volume: Volume, hashing: Executor) -> Fingerprint:
    data = encode(volume.array, volume.affine)
    digest = hashing.submit(sha256, data)  # while the disk is waited for
    write_bytes(path, data)
    return len(data), digest.result()
