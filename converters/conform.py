"""One case: what a source loaded becomes checked NIfTI files in RAS+ and a sidecar."""

import contextlib
import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from converters.dataset import IGNORE, Annotation, Case, Geometry, ImageFile, SourceFile
from converters.description import AnnotationSet
from converters.errors import BenchError
from converters.files import read_json, safe_id, sha256, write_json
from converters.source import Info, Loaded, RawCase
from converters.volume import Volume, data_sha256, slice_axis, to_ras, write_nifti
from converters.written import intact

CONVERTER = "1"  # raised when the same source files would give other voxels, geometry or sidecars
_WORLD = {"L": 0, "R": 0, "P": 1, "A": 1, "I": 2, "S": 2}
# The image types of the format; float32 holds every whole number up to 2**24.
_HOLDS = {"int16": (-(1 << 15), (1 << 15) - 1), "uint16": (0, (1 << 16) - 1), "float32": (-(1 << 24), 1 << 24)}
_REFERENCE = AnnotationSet(id="reference", kind="dense", origin="expert", path="")


@dataclasses.dataclass(frozen=True)
class Job:
    """One case to convert, and where from and to."""

    raw: Path
    root: Path
    info: Info
    case: RawCase

    @property
    def id(self) -> str:
        """The case id in the dataset."""
        return safe_id(self.case.native_id, where=self.raw)

    @property
    def sidecar(self) -> Path:
        """The case's description on disk."""
        return self.root / "cases" / f"{self.id}.json"


def conform(job: Job) -> tuple[Case, bool]:
    """The case as it now lies on disk, and whether anything was written.

    Nothing is read but hashes where source files, converter version and written voxels are as the sidecar says.

    Raises:
        BenchError: the source files do not make a sound case; nothing of it was written.
    """
    sources = tuple(_source(path, job.raw) for path in job.case.files)
    before = earlier(job)
    if before is not None and _describes(before, job, sources) and intact(job.root, before):
        return before, False
    loaded = job.case.load()
    _check_grids(job.info, loaded)
    case, volumes = _describe(job, loaded, sources)
    _write(job, case, volumes)
    return case, True


def earlier(job: Job) -> Case | None:
    """The case as an earlier conversion left it, or None."""
    with contextlib.suppress(BenchError):
        return read_json(job.sidecar, Case)
    return None


def _source(path: Path, raw: Path) -> SourceFile:
    data = path.read_bytes()
    return SourceFile(path=path.relative_to(raw).as_posix(), bytes=len(data), sha256=sha256(data))


def _describes(case: Case, job: Job, sources: tuple[SourceFile, ...]) -> bool:
    known = (case.converter, case.native_id, case.subject, dict(case.meta), case.sources)
    return known == (CONVERTER, job.case.native_id, safe_id(job.case.subject), dict(job.case.meta), sources)


def _check_grids(info: Info, loaded: Loaded) -> None:
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
    raise BenchError(what, mend="take the files that belong together; nothing is resampled here")


def _describe(job: Job, loaded: Loaded, sources: tuple[SourceFile, ...]) -> tuple[Case, dict[str, Volume]]:
    first = next(iter(loaded.images.values()))
    grid, orientation = to_ras(first)
    stack = slice_axis(grid) if loaded.stack_axis is None else _WORLD[orientation[loaded.stack_axis]]
    folder = "Ts" if job.case.held_out else "Un" if loaded.label is None else "Tr"
    volumes: dict[str, Volume] = {}
    images = {}
    for number, (channel, volume) in enumerate(loaded.images.items()):
        file = f"images{folder}/{job.id}_{number:04d}.nii.gz"
        volumes[file] = _image(channel, _on(first, volume))
        images[channel] = _image_file(file, volumes[file], loaded.acquisition.get(channel, {}))
    label = None
    if loaded.label is not None:
        file = f"labels{folder}/{job.id}.nii.gz"
        volumes[file] = _label("label", _on(first, loaded.label), job.info)
        label = annotation(_REFERENCE, file, volumes[file])
    annotations = {}
    known = {one.id: one for one in job.info.annotation_sets}
    for name, volume in loaded.annotations.items():
        file = f"{known[name].path}/{job.id}.nii.gz"
        volumes[file] = _label(name, _on(first, volume), job.info)
        annotations[name] = annotation(known[name], file, volumes[file])
    case = Case(
        id=job.id,
        native_id=job.case.native_id,
        subject=safe_id(job.case.subject),
        geometry=_geometry(grid, orientation, stack),
        images=images,
        label=label,
        annotations=annotations,
        meta=dict(job.case.meta),
        sources=sources,
        warnings=(*loaded.warnings, *_disagreements(label, annotations, volumes)),
        converter=CONVERTER,
    )
    return case, volumes


def _on(first: Volume, volume: Volume) -> Volume:
    """In RAS+ on the grid of the first channel: `same_grid` held, so what is left of a difference is rounding."""
    return to_ras(Volume(volume.array, first.affine))[0]


def codes_of(info: Info) -> set[int]:
    """Every code a label map of the dataset may hold, background included."""
    return {code for value in info.labels.values() for code in (value if isinstance(value, tuple) else (value,))}


def _geometry(grid: Volume, orientation: str, stack: int) -> Geometry:
    return Geometry(
        shape=grid.shape,
        spacing_mm=grid.spacing,
        affine=tuple(tuple(map(float, row)) for row in grid.affine),
        source_orientation=orientation,
        slice_axis=stack,
    )


def _image(channel: str, volume: Volume) -> Volume:
    """The channel as int16, uint16 or float32, whichever holds all its values, its own type first."""
    array = volume.array
    if array.dtype.kind == "f":
        return Volume(array.astype(np.float32, copy=False), volume.affine)
    low, high = int(array.min()), int(array.max())
    for name in sorted(_HOLDS, key=lambda name: name != array.dtype.name):
        least, most = _HOLDS[name]
        if least <= low and high <= most:
            return Volume(array.astype(name, copy=False), volume.affine)
    raise BenchError(f"channel {channel} holds whole numbers from {low} to {high}; float32 cannot tell them apart")


def _label(name: str, volume: Volume, info: Info) -> Volume:
    array = volume.array.astype(np.uint8, copy=False)
    allowed = codes_of(info)
    strange = {code: count for code, count in _counts(array).items() if code not in allowed | {IGNORE}}
    if strange:
        found = ", ".join(f"{code} ({count} voxels)" for code, count in strange.items())
        raise BenchError(
            f"{name}: values outside {sorted(allowed)}: {found}",
            mend="repair the label map; nothing is guessed",
        )
    return Volume(array, volume.affine)


def _counts(array: np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]) -> dict[int, int]:
    counts = np.bincount(array.ravel(order="K"), minlength=256)
    return {int(code): int(counts[code]) for code in np.flatnonzero(counts)}


def _image_file(file: str, volume: Volume, acquisition: Mapping[str, str | float]) -> ImageFile:
    array = volume.array
    return ImageFile(
        file=file,
        dtype=array.dtype.name,
        data_sha256=data_sha256(volume),
        range=(float(array.min()), float(array.max())),
        acquisition=dict(acquisition),
    )


def annotation(of: AnnotationSet, file: str, volume: Volume) -> Annotation:
    """What a sidecar says of a label map: digest, voxels per code, annotated share."""
    counts = _counts(volume.array)  # type: ignore[arg-type]  # uint8, see _codes
    return Annotation(
        file=file,
        kind=of.kind,
        origin=of.origin,
        data_sha256=data_sha256(volume),
        voxels={str(code): count for code, count in counts.items()},
        annotated_fraction=1.0 - counts.get(IGNORE, 0) / volume.array.size,
    )


def _disagreements(
    label: Annotation | None, annotations: Mapping[str, Annotation], volumes: Mapping[str, Volume]
) -> list[str]:
    """Expert annotations differ from the reference in a few voxels: allowed, counted."""
    if label is None:
        return []
    reference = volumes[label.file].array
    found = []
    for name, annotation in annotations.items():
        drawn = volumes[annotation.file].array
        if differ := int(((drawn != IGNORE) & (drawn != reference)).sum()):
            found.append(f"{name}: {differ} of {int((drawn != IGNORE).sum())} annotated voxels differ from the label")
    return found


def _write(job: Job, case: Case, volumes: Mapping[str, Volume]) -> None:
    """All files, then the sidecar; a failure takes back what was not there before."""
    new = [file for file in volumes if not (job.root / file).exists()]
    try:
        for file, volume in volumes.items():
            write_nifti(job.root / file, volume)
        write_json(job.sidecar, case)
    except BaseException:
        for file in new:
            (job.root / file).unlink(missing_ok=True)
        raise
