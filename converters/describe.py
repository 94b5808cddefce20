"""What a source loaded, described: volumes in RAS+ by file name, and the sidecar that goes with them."""

from collections.abc import Iterator, Mapping

import numpy as np

from converters.dataset import IGNORE, Annotation, Case, Geometry, ImageFile, SourceFile
from converters.description import AnnotationSet
from converters.dicom_acquisition import other_modality
from converters.errors import BenchError
from converters.files import safe_id
from converters.job import Job
from converters.source import Info, Loaded
from converters.volume import WORLD, Volume, data_sha256, slice_axis, to_ras

CONVERTER = "2"  # raised when the same source files would give other voxels, geometry or sidecars
REFERENCE = "label"
# The image types of the format; float32 holds every whole number up to 2**24.
_HOLDS = {"int16": (-(1 << 15), (1 << 15) - 1), "uint16": (0, (1 << 16) - 1), "float32": (-(1 << 24), 1 << 24)}


def arranged(job: Job, loaded: Loaded) -> dict[str, Volume]:
    """The volumes of all files of the case, by file name, in RAS+ and in the types of the format.

    Raises:
        BenchError: a label map holds values that the dataset has no code for, or a channel values that fit no type.
    """
    first = next(iter(loaded.images.values()))
    images, maps = _files(job, loaded)
    volumes = {images[name]: _image(name, _on(first, volume)) for name, volume in loaded.images.items()}
    return volumes | {maps[name]: as_label(name, _on(first, volume), job.info) for name, volume in drawn_in(loaded)}


def describe(job: Job, loaded: Loaded, volumes: Mapping[str, Volume], sources: tuple[SourceFile, ...]) -> Case:
    """The sidecar of a case whose volumes are `arranged`."""
    grid, orientation = to_ras(next(iter(loaded.images.values())))
    stack = slice_axis(grid) if loaded.stack_axis is None else WORLD[orientation[loaded.stack_axis]]
    images, maps = _files(job, loaded)
    known = {one.id: one for one in job.info.annotation_sets}
    known[REFERENCE] = AnnotationSet(id=REFERENCE, kind="dense", origin=job.info.reference_origin, path="")
    drawn = {name: annotation(known[name], maps[name], volumes[maps[name]]) for name, _ in drawn_in(loaded)}
    label = drawn.pop(REFERENCE, None)
    return Case(
        id=job.id,
        native_id=job.case.native_id,
        subject=safe_id(job.case.subject),
        geometry=_geometry(grid, orientation, stack, loaded.spacing_known),
        images={
            name: _image_file(file, volumes[file], loaded.acquisition.get(name, {})) for name, file in images.items()
        },
        label=label,
        annotations=drawn,
        meta=dict(job.case.meta),
        preparation={**job.info.preparation, **loaded.preparation},
        sources=sources,
        warnings=(*loaded.warnings, *_strangers(job.info, loaded), *_disagreements(label, drawn, volumes)),
        converter=CONVERTER,
    )


def _strangers(info: Info, loaded: Loaded) -> Iterator[str]:
    """A sentence for each channel whose files say another modality than the dataset."""
    for channel in info.channels:
        if found := other_modality(loaded.acquisition.get(channel.name, {}), channel.modality):
            yield f"{channel.name}: the file is {found}, the channel {channel.modality}"


def drawn_in(loaded: Loaded) -> Iterator[tuple[str, Volume]]:
    """Every label map: the reference, if there is one, and the further annotations."""
    if loaded.label is not None:
        yield REFERENCE, loaded.label
    yield from loaded.annotations.items()


def _files(job: Job, loaded: Loaded) -> tuple[dict[str, str], dict[str, str]]:
    """Files in the dataset's folder: by channel; by REFERENCE or annotation set."""
    folder = "Ts" if job.case.held_out else "Un" if loaded.label is None else "Tr"
    images = {name: f"images{folder}/{job.id}_{number:04d}.nii.gz" for number, name in enumerate(loaded.images)}
    maps = {one.id: f"{one.path}/{job.id}.nii.gz" for one in job.info.annotation_sets}
    return images, maps | {REFERENCE: f"labels{folder}/{job.id}.nii.gz"}


def _on(first: Volume, volume: Volume) -> Volume:
    """In RAS+ on the grid of the first channel: `same_grid` held, so what is left of a difference is rounding."""
    return to_ras(Volume(volume.array, first.affine))[0]


def codes_of(info: Info) -> set[int]:
    """Every code a label map of the dataset may hold, background included."""
    return {code for value in info.labels.values() for code in (value if isinstance(value, tuple) else (value,))}


def _geometry(grid: Volume, orientation: str, stack: int, known: bool) -> Geometry:
    return Geometry(
        shape=grid.shape,
        spacing_mm=grid.spacing,
        affine=tuple(tuple(map(float, row)) for row in grid.affine),
        source_orientation=orientation,
        slice_axis=stack,
        spacing_known=known,
    )


def _image(channel: str, volume: Volume) -> Volume:
    """The channel as int16, uint16 or float32, whichever holds all its values, its own type first."""
    array = volume.array
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            narrow = array.astype(np.float32, copy=False)
        if array.dtype.itemsize > narrow.itemsize and not np.isfinite(narrow).all():
            raise BenchError(f"channel {channel} holds numbers up to {np.abs(array).max():.3g}; float32 ends at 3.4e38")
        return Volume(narrow, volume.affine)
    if array.dtype.name in _HOLDS:
        return volume
    low, high = int(array.min()), int(array.max())
    for name, (least, most) in _HOLDS.items():
        if least <= low and high <= most:
            return Volume(array.astype(name, copy=False), volume.affine)
    raise BenchError(f"channel {channel} holds whole numbers from {low} to {high}; float32 cannot tell them apart")


def as_label(name: str, volume: Volume, info: Info) -> Volume:
    """The label map as uint8, if the dataset knows its codes.

    Raises:
        BenchError: it holds others; names them with their counts.
    """
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
