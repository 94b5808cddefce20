"""The voxels of one case of a folder: each file by the reader of its kind, the masks on the grid of the image."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from converters.errors import BenchError
from converters.files import is_junk, natural_key
from converters.folder_config import RGB, WHOLE, FolderConfig
from converters.folder_labels import coded, joined, numbers
from converters.folder_pairs import ITK, NIFTI, PICTURES, Found, frame_key, suffix_of
from converters.source import Loaded, Options
from converters.volume import Volume, axis_codes, flat, read_nifti, turned

Affine = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Placed:
    """What a file gives.

    Shape: array (X, Y, Z), or (X, Y, Z, 3) of a colour picture; `slices` names the slices or frames, of a DICOM series
    after its files. `placed` is False where the axes are no more than columns and rows.
    """

    array: npt.NDArray[Any]
    affine: Affine
    placed: bool = True
    by_columns: bool = True  # the first axis runs along columns, the second along rows, as in a picture
    known: bool = True  # the spacing
    slices: tuple[str, ...] = ()
    acquisition: Mapping[str, str | float] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def load(found: Found, frame: int | None, config: FolderConfig, options: Options) -> Loaded:
    """The case, or one frame of it, counted from 0.

    Raises:
        BenchError: a file is damaged or says too little, image and mask do not belong together, or values are unknown.
    """
    parts = {name: _read(path, frame, config, options) for name, path in found.images.items()}
    images = {name: volume for name, part in parts.items() for name, volume in _channels(name, part, found, config)}
    first = next(iter(parts.values()))
    label = _label(found, frame, config, options, first) if any(found.masks.values()) else None
    warnings = tuple(f"{name}: {told}" for name, part in parts.items() for told in part.warnings)
    if label is None and config.masks:
        warnings += ("no mask for this image",)
    if config.ndim == 2 and axis_codes(first.affine)[2] not in "IS":
        images, label = _upright(images, label)
        warnings += ("the slice is no axial one: its axes count as columns and rows",)
    return Loaded(
        images=images,
        label=label,
        acquisition={name: part.acquisition for name, part in parts.items() if name in images},
        stack_axis=2 if config.ndim == 3 and not all(map(_is_nifti, found.images.values())) else None,
        spacing_known=all(part.known for part in parts.values()),
        warnings=warnings,
    )


def files_of(path: Path) -> tuple[Path, ...]:
    """All files that reading a path takes."""
    if path.is_dir():
        return tuple(sorted((p for p in path.iterdir() if p.is_file() and not is_junk(Path(p.name))), key=natural_key))
    if suffix_of(path) in ITK:
        from converters import itk

        return itk.files_of(path)
    return (path,)


def _upright(images: dict[str, Volume], label: Volume | None) -> tuple[dict[str, Volume], Volume | None]:
    """Slices of any direction as pictures, whose third axis is the singleton; what lies elsewhere stays there."""
    first = next(iter(images.values()))
    plane = flat(first.array[..., 0], first.spacing[:2]).affine
    there = {name: Volume(v.array, plane) if v.same_grid(first) else v for name, v in images.items()}
    return there, Volume(label.array, plane) if label is not None and label.same_grid(first) else label


def _is_nifti(path: Path) -> bool:
    return suffix_of(path) in NIFTI


def _channels(name: str, part: Placed, found: Found, config: FolderConfig) -> list[tuple[str, Volume]]:
    if config.rgb:
        colours = part.array if part.array.ndim == 4 else np.repeat(part.array[..., None], 3, axis=3)
        return [(colour, Volume(np.ascontiguousarray(colours[..., k]), part.affine)) for k, colour in enumerate(RGB)]
    if part.array.ndim == 4:
        raise BenchError(
            f"{found.images[name].name}: the picture is in colours",
            where=found.images[name],
            mend="rgb = true in the TOML makes three channels of it; or save it in greys",
        )
    return [(name, Volume(part.array, part.affine))]


def _read(path: Path, frame: int | None, config: FolderConfig, options: Options, *, mask: bool = False) -> Placed:
    kind = suffix_of(path)
    if kind in PICTURES:
        part = _picture(path, config, mask, frame)
    elif kind in NIFTI:
        volume = read_nifti(path)
        part = Placed(volume.array, volume.affine, by_columns=False)
    elif kind in ITK:
        from converters.itk import read_itk

        volume = read_itk(path)
        part = Placed(volume.array, volume.affine, slices=_numbered(volume.array))
    else:
        part = _dicom_picture(path, frame, config) if config.ndim == 2 else _dicom_series(path, options)
        if mask:
            _check_drawn(path, part.warnings)
    if frame is not None and (kind in (*NIFTI, *ITK) or (kind in PICTURES and config.pages != "frames")):
        if frame >= part.array.shape[2]:
            raise BenchError(f"{path.name}: {part.array.shape[2]} frames; the image has more", where=path)
        part = dataclasses.replace(part, array=part.array[:, :, frame : frame + 1])
    if (part.array.shape[2] == 1) != (config.ndim == 2):
        raise BenchError(
            f"{path.name}: {part.array.shape[2]} slice(s) and ndim = {config.ndim}",
            where=path,
            mend="ndim = 2 is for pictures, ndim = 3 for volumes",
        )
    return part


def _picture(path: Path, config: FolderConfig, mask: bool, frame: int | None = None) -> Placed:
    from converters.pictures import read_picture

    index = mask and config.palette == "index"
    page = frame if config.pages == "frames" else None
    array = read_picture(path, lossless=mask, index=index, pages=config.pages != "refuse", page=page)
    # Columns run to the left and rows to the back, as `flat` has it; pages upwards.
    x, y, z = (*config.spacing_mm, 1.0, 1.0, 1.0)[:3] if config.ndim == 3 else (*(config.spacing_mm or (1.0, 1.0)), 1.0)
    known = bool(config.spacing_mm)
    return Placed(array, np.diag([-x, -y, z, 1.0]), placed=False, known=known, slices=_numbered(array))


def _numbered(array: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(str(number + 1) for number in range(array.shape[2]))


def _dicom_picture(path: Path, frame: int | None, config: FolderConfig) -> Placed:
    from converters.dicom_frames import read_frames

    frames = read_frames(path, frame)
    spacing = frames.spacing or config.spacing_mm or (1.0, 1.0)
    affine = flat(frames.array[..., 0], (spacing[0], spacing[1])).affine
    known = bool(frames.spacing or config.spacing_mm)
    return Placed(
        frames.array, affine, placed=False, known=known, acquisition=frames.acquisition, warnings=frames.warnings
    )


def _dicom_series(path: Path, options: Options) -> Placed:
    from converters.dicom import read_series

    series = read_series(files_of(path), series=options.series, allow_gaps=options.allow_gaps)
    own = len(set(series.files)) == len(series.files)
    slices = [frame_key(p.stem) if own else str(n + 1) for p, n in zip(series.files, series.frames, strict=True)]
    return Placed(
        series.volume.array,
        series.volume.affine,
        slices=tuple(slices),
        acquisition=series.acquisition,
        warnings=series.warnings,
    )


def _check_drawn(path: Path, warnings: tuple[str, ...]) -> None:
    """A mask whose values are not those that were drawn."""
    from converters.dicom import LOSSY

    if changed := [told for told in warnings if told == LOSSY or told.startswith("MONOCHROME1")]:
        raise BenchError(f"{path.name}: {'; '.join(changed)}", where=path, mend="take the masks as they were drawn")


def _label(found: Found, frame: int | None, config: FolderConfig, options: Options, image: Placed) -> Volume:
    masks: dict[str, Volume] = {}
    for name, files in found.masks.items():
        if files:
            drawn = _drawn(files, frame, config, options, image)
            path = next(iter(files.values()))
            _check_kind(drawn, image, path)
            affine = drawn.affine if drawn.placed else image.affine
            masks[name] = _as_image(Volume(coded(drawn.array, name, config, path), affine), image)
    if WHOLE in masks:
        return masks[WHOLE]
    where = next(iter(found.images.values())).parent
    missing = [name for name in config.labels if name not in masks]
    if missing and config.absent == "refuse":
        raise BenchError(
            f"no mask of {', '.join(missing)}; there is one of {', '.join(masks)}",
            where=where,
            mend='add it; absent = "empty" in the TOML says that such a structure is not there',
        )
    first = next(iter(masks.values()))
    if odd := [name for name, mask in masks.items() if not mask.same_grid(first)]:
        raise BenchError(f"the mask of {odd[0]} lies on another grid", where=where, mend="take those of one grid")
    codes = {name: mask.array.astype(np.uint8, copy=False) for name, mask in masks.items()}
    return Volume(joined(codes, config, where), first.affine)


def _drawn(
    files: Mapping[str, Path], frame: int | None, config: FolderConfig, options: Options, image: Placed
) -> Placed:
    """The numbers of a mask: one file for the whole case, or a picture for each slice."""
    if "" in files:
        part = _read(files[""], frame, config, options, mask=True)
        return dataclasses.replace(part, array=numbers(part.array, config, files[""]))
    keys = image.slices if config.ndim == 3 else tuple(files)
    alone = sorted({*keys} ^ {*files}, key=natural_key)
    where = next(iter(files.values()))
    if alone:
        raise BenchError(
            f"{len(files)} masks of slices for {len(keys)} slices; without a partner: {', '.join(alone[:5])}",
            where=where.parent,
            mend="{frame} is the name of the slice's file, or its number in a file of many",
        )
    if odd := [path for path in files.values() if suffix_of(path) not in PICTURES]:
        raise BenchError(f"{odd[0].name}: the mask of one slice is a picture", where=odd[0], mend="leave {frame} out")
    pages = [numbers(_picture(files[key], config, True).array, config, files[key]) for key in keys]
    if len({page.shape[:2] for page in pages}) > 1:
        raise BenchError("the masks of one case differ in size", where=where.parent)
    return Placed(np.concatenate(pages, axis=2), image.affine, placed=False)


def _check_kind(drawn: Placed, image: Placed, path: Path) -> None:
    if drawn.placed and not image.placed:
        raise BenchError(
            f"{path.name}: the mask lies in space, its picture does not", where=path, mend="save the mask as a picture"
        )
    if not drawn.placed and not image.by_columns:
        raise BenchError(
            f"{path.name}: a picture over NIfTI: which way up it lies is not said",
            where=path,
            mend="save the mask as NIfTI with the affine of its image",
        )


def _as_image(mask: Volume, image: Placed) -> Volume:
    """The mask with its axes in the order and direction of the image's, if both lie in space."""
    codes = axis_codes(image.affine)
    return mask if axis_codes(mask.affine) == codes else turned(mask, codes)
