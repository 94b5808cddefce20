"""A folder of images and one of masks, of anybody's making, as a TOML describes it: `docs/folder.md`.

PNG, JPEG, TIFF, BMP, NIfTI, MHA, MHD, NRRD, DICOM. Licence and citation are those that the TOML gives. Layout: any;
`frugalseg.toml` lies at the top of the folder, or is given by --config. Traps: masks saved as JPEG, antialiased edges,
two files of one stem, several images of one person, pictures that say nothing of millimetres.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from converters.description import Source
from converters.errors import BenchError
from converters.files import natural_key, safe_id
from converters.folder_config import FILE, FolderConfig, channels, label_info
from converters.folder_draft import draft
from converters.folder_labels import regions
from converters.folder_load import files_of, load
from converters.folder_pairs import DICOM, PICTURES, Found, pairs, suffix_of
from converters.folder_read import read_config
from converters.source import Access, Info, Options, RawCase

TAKES = ("allow_gaps", "config", "series")
INFO: tuple[Info, ...] = ()
ACCESS = Access(
    page="",
    steps=(
        "Put the images and masks you have below one folder.",
        f"Describe them in {FILE} at its top, as docs/folder.md says; without one, the error offers a draft.",
        "bench convert folder RAW data",
    ),
)


def infos(raw: Path, options: Options) -> tuple[Info, ...]:
    """The one dataset that the TOML describes.

    Raises:
        BenchError: there is no TOML, it is unsound, or files have no partner.
    """
    config = read_config(_toml(raw, options))
    return (
        Info(
            name=config.name,
            version=config.version,
            licence=config.licence,
            citation=config.citation,
            source=Source(collection=config.collection or config.name, version=config.version, doi=config.doi),
            channels=channels(config),
            labels=regions(config).labels,
            label_info=label_info(config),
            ndim=config.ndim,
            nsd_tolerances_mm=config.nsd_tolerances_mm,
            reference_origin=config.origin,
            warnings=tuple(_warnings(raw, config)),
        ),
    )


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Every image, or every frame of it where pictures are wanted of files that hold many.

    Raises:
        BenchError: two files have one stem, a mask has no image, or a name makes no case id.
    """
    toml = _toml(raw, options)
    config = read_config(toml)
    for found in pairs(raw, config).found:
        name = _named(found.stem, config.case, "case", raw)
        subject = _named(found.stem, config.subject, "subject", raw) if config.subject else name
        count = frames(found, config)
        _check_frames(found, count or 1, config, raw)
        for frame in range(count) if count else (None,):
            one = found if frame is None else _of_frame(found, frame)
            native = name if frame is None else f"{name}-{frame + 1:04d}"
            masks = (path for files in one.masks.values() for path in files.values())
            paths = [file for path in (*one.images.values(), *masks) for file in files_of(path)]
            files = (*dict.fromkeys(paths), toml)
            yield RawCase(native, subject, files, partial(load, one, frame, config, options), held_out=found.held_out)


def _toml(raw: Path, options: Options) -> Path:
    path = options.config or raw / FILE
    if not path.is_file():
        raise BenchError(
            f"there is no {FILE}",
            where=raw,
            mend=f"write one; this describes what was found, but for its dots:\n\n{draft(raw)}",
        )
    return path


def _named(stem: str, pattern: str, key: str, raw: Path) -> str:
    """What a name makes of a stem: its group, or the stem; other letters than an id has become the nearest, or `-`."""
    if pattern:
        match = re.search(pattern, stem)
        if match is None or not match[1]:
            raise BenchError(f"{key} = '{pattern}' does not fit '{stem}'", where=raw, mend="mend it in the TOML")
        stem = match[1]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    name = re.sub(r"[ _-]*[^A-Za-z0-9_ -][^A-Za-z0-9]*", "-", plain).strip("-_ ")
    try:
        safe_id(name)
    except BenchError:
        raise BenchError(
            f"'{stem}' cannot be a {key} id",
            where=raw,
            mend=f"rename it; or let {key} = 'pattern with (a group)' in the TOML take a part of it, up to 64 letters",
        ) from None
    return name


def frames(found: Found, config: FolderConfig) -> int:
    """How many pictures the first channel's file holds; 0 where it is one."""
    path = next(iter(found.images.values()))
    count = 1
    if config.ndim == 2 and suffix_of(path) in ("", *DICOM):
        from converters.dicom_frames import count_frames

        count = count_frames(path)
    elif config.pages == "frames" and suffix_of(path) in PICTURES:
        from converters.pictures import count_pages

        count = count_pages(path)
    return count if count > 1 else 0


def _check_frames(found: Found, frames: int, config: FolderConfig, raw: Path) -> None:
    """Masks of single frames belong to frames that are there."""
    known = {"", *(str(n + 1) for n in range(frames))}
    for files in found.masks.values() if config.ndim == 2 else ():
        if strange := sorted(files.keys() - known, key=natural_key):
            raise BenchError(
                f"{found.stem}: {len(files)} masks, {frames} frames; no such frame: {', '.join(strange[:5])}",
                where=raw,
                mend="{frame} is the frame's number, from 1",
            )


def _of_frame(found: Found, frame: int) -> Found:
    keys = ("", str(frame + 1))
    masks = {name: {key: files[key] for key in keys if key in files} for name, files in found.masks.items()}
    return Found(found.stem, found.images, masks, found.held_out)


def _warnings(raw: Path, config: FolderConfig) -> Iterator[str]:
    there = pairs(raw, config)
    bare = [found.stem for found in there.found if config.masks and not any(found.masks.values())]
    if bare:
        more = f" and {len(bare) - 5} more" if len(bare) > 5 else ""
        yield f"{len(bare)} of {len(there.found)} images have no mask: {', '.join(bare[:5])}{more}"
    paths = [path for found in there.found for path in found.images.values()]
    if not config.spacing_mm and any(suffix_of(path) in PICTURES for path in paths):
        yield "pictures say nothing of millimetres: 1 stands for their spacing, and distances are in pixels"
    if there.aside:
        yield f"left aside beside the images: {', '.join(there.aside)}"
