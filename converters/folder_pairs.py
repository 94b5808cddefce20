"""Which files of a folder make a case: images and masks by their stems, and a report of what has no partner."""

import dataclasses
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from converters.errors import BenchError
from converters.files import is_junk, natural_key
from converters.folder_config import FolderConfig, listed

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
ITK = (".mha", ".mhd", ".nrrd")
NIFTI = (".nii.gz", ".nii")
DICOM = (".dcm", ".dicom", ".ima")
SUFFIXES = (*NIFTI, *PICTURES, *ITK, *DICOM)

Frames = Mapping[str, Path]  # frame -> file; "" where one file holds all
_MAGIC = 132
_VOXELS = (".raw", ".zraw")  # beside an .mhd, which names them


class Match(NamedTuple):
    """A file or folder that a pattern describes."""

    path: str
    stems: tuple[str, ...]  # the longest that fits, and the shortest
    frame: str


@dataclasses.dataclass(frozen=True)
class Found:
    """One image with all that belongs to it. A path is a file, or the folder of a DICOM series."""

    stem: str
    images: Mapping[str, Path]  # channel -> path
    masks: Mapping[str, Frames]  # structure -> files; empty where there are none
    held_out: bool = False


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Everything in a folder that the description speaks of."""

    found: tuple[Found, ...]
    aside: tuple[str, ...]  # suffixes of files beside the images that are none


def pairs(raw: Path, config: FolderConfig) -> Pairs:
    """The cases of a folder, in natural order of their stems.

    Raises:
        BenchError: two files have one stem, a mask has no image, a channel is missing.
    """
    units, others = _units(raw, volumes=config.ndim == 3)
    for key in ("exclude", "test"):
        _check_used(raw, key, listed(getattr(config, key)), units)
    left = [unit for unit in units if not _any(config.exclude, unit)]
    drawn = {name: _matched(patterns, left) for name, patterns in config.mask_places.items()}
    masks = {one.path for found in drawn.values() for one in found}
    if config.mask_places and not masks:
        raise _nothing(raw, "masks")
    images = {
        channel: _single(raw, _matched(patterns, [unit for unit in left if unit not in masks]))
        for channel, patterns in config.places.items()
    }
    stems = sorted({stem for found in images.values() for stem in found}, key=natural_key)
    _check_channels(raw, images, stems)
    partners = {name: _claimed(raw, found, stems) for name, found in drawn.items()}
    lonely = sorted({path for found, missed in partners.values() for path in missed}, key=natural_key)
    if lonely:
        raise BenchError(
            f"{len(masks)} masks, {len(stems)} images; {len(lonely)} mask(s) without an image: {_few(lonely)}",
            where=raw,
            mend="add the images, or name these masks under exclude",
        )
    found = tuple(
        Found(
            stem,
            {channel: raw / paths[stem] for channel, paths in images.items()},
            {
                name: {frame: raw / path for frame, path in claimed.get(stem, {}).items()}
                for name, (claimed, _) in partners.items()
            },
            any(_any(config.test, paths[stem]) for paths in images.values()),
        )
        for stem in stems
    )
    return Pairs(found, _aside(config, others))


def suffix_of(path: str | Path) -> str:
    """The suffix by which the kind of a file is told; "" for a folder or a file without one."""
    name = str(path).lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), "")


def _units(raw: Path, *, volumes: bool) -> tuple[list[str], list[str]]:
    """What can be read, relative to `raw`, and what cannot.

    Files, and folders that hold the slices of a DICOM series where volumes are wanted.
    """
    files = [path for path in raw.rglob("*") if path.is_file() and not is_junk(path.relative_to(raw))]
    readable = {path for path in files if suffix_of(path) or _is_dicom(path)}
    slices = {path for path in readable if suffix_of(path) in ("", *DICOM) and path.parent != raw}
    series = {path.parent for path in slices} if volumes else set()
    return _listed(raw, readable | series), _listed(raw, set(files) - readable)


def _listed(raw: Path, paths: Iterable[Path]) -> list[str]:
    return sorted((path.relative_to(raw).as_posix() for path in paths), key=natural_key)


def _is_dicom(path: Path) -> bool:
    if path.suffix:
        return False
    with path.open("rb") as handle:
        return handle.read(_MAGIC)[128:] == b"DICM"


def _matched(patterns: Iterable[str], units: Iterable[str]) -> list[Match]:
    """Every unit that a pattern describes, with the stems it may have."""
    found: dict[str, Match] = {}
    for pattern in map(_whole, patterns):
        greedy, lazy = _expression(pattern, ".+"), _expression(pattern, ".+?")
        for unit in units:
            # Without a suffix a pattern takes all kinds.
            text = unit if suffix_of(pattern) else unit[: len(unit) - len(suffix_of(unit))]
            if unit not in found and (most := greedy.fullmatch(text)) and (least := lazy.fullmatch(text)):
                stems = dict.fromkeys(unicodedata.normalize("NFC", match["stem"]) for match in (most, least))
                found[unit] = Match(unit, tuple(stems), frame_key(most.groupdict().get("frame") or ""))
    # The slices of a series that is a unit of its own are none.
    return [one for one in found.values() if one.path.rpartition("/")[0] not in found]


def _whole(pattern: str) -> str:
    """A folder's name stands for everything in it."""
    if re.search(r"\{stem\}|\*", pattern) or suffix_of(pattern):
        return pattern
    return f"{folder}/{{stem}}" if (folder := pattern.strip("./")) else "{stem}"


def _expression(pattern: str, stem: str) -> re.Pattern[str]:
    """`*` is anything within a folder, `{stem}` anything; without `{stem}` the file's name is the stem."""
    if "{stem}" in pattern:
        named = {"{stem}": f"(?P<stem>{stem})", "{frame}": "(?P<frame>[^/]+?)"}
        return re.compile(
            "".join(named.get(part) or _glob(part) for part in re.split(r"(\{stem\}|\{frame\})", pattern)), re.DOTALL
        )
    folder, slash, name = pattern.rpartition("/")
    suffix = suffix_of(name)
    return re.compile(f"{_glob(folder + slash)}(?P<stem>{_glob(name.removesuffix(suffix))}){re.escape(suffix)}")


def frame_key(frame: str) -> str:
    """A frame's number without leading zeros, or its name."""
    return str(int(frame)) if frame.isdecimal() else unicodedata.normalize("NFC", frame)


def _glob(text: str) -> str:
    return re.escape(text).replace(r"\*", "[^/]*")


def _any(patterns: str | tuple[str, ...], unit: str) -> bool:
    """True where a pattern names the file, or a folder above it."""
    above = [unit, *(unit[: at.start()] for at in re.finditer("/", unit))]
    return any(
        re.fullmatch(_glob(pattern.rstrip("/")).replace(r"\{stem\}", ".+"), part)
        for pattern in listed(patterns)
        for part in above
    )


def _single(raw: Path, matched: Iterable[Match]) -> dict[str, str]:
    """Stem -> image."""
    found: dict[str, str] = {}
    for one in matched:
        if (first := found.setdefault(one.stems[0], one.path)) != one.path:
            raise _doubled(raw, one.stems[0], first, one.path)
    if not found:
        raise _nothing(raw, "images")
    return found


def _nothing(raw: Path, what: str) -> BenchError:
    return BenchError(f"no {what} where the description says", where=raw, mend="mend the patterns in the TOML")


def _check_used(raw: Path, key: str, patterns: Iterable[str], units: Sequence[str]) -> None:
    """A pattern that fits nothing was mistyped, and what it was meant for would pass unseen."""
    for pattern in patterns:
        if not any(_any(pattern, unit) for unit in units):
            raise BenchError(f"{key}: '{pattern}' fits no file", where=raw, mend="mend the pattern in the TOML")


def _doubled(raw: Path, stem: str, first: str, second: str) -> BenchError:
    return BenchError(f"two files for '{stem}': {first} and {second}", where=raw, mend="keep one, or exclude the other")


def _check_channels(raw: Path, images: Mapping[str, Mapping[str, str]], stems: Sequence[str]) -> None:
    for channel, paths in images.items():
        if missing := [stem for stem in stems if stem not in paths]:
            raise BenchError(
                f"{len(paths)} of {len(stems)} cases have channel {channel}; without it: {_few(missing)}",
                where=raw,
                mend="add the files, or name those of these cases under exclude",
            )


def _claimed(raw: Path, matched: Iterable[Match], stems: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Stem -> frame -> mask, and the masks that belong to no image."""
    known = set(stems)
    claimed: dict[str, dict[str, str]] = {}
    lonely = []
    for one in matched:
        stem = next((stem for stem in one.stems if stem in known), None)
        if stem is None:
            lonely.append(one.path)
        elif (first := claimed.setdefault(stem, {}).setdefault(one.frame, one.path)) != one.path:
            raise _doubled(raw, f"{stem} {one.frame}".strip(), first, one.path)
    return claimed, lonely


def _aside(config: FolderConfig, others: Sequence[str]) -> tuple[str, ...]:
    places = [pattern for patterns in config.places.values() for pattern in patterns]
    strange = [Path(one.path).suffix for one in _matched(places, others)]
    counts = Counter(suffix for suffix in strange if suffix and suffix not in _VOXELS)
    return tuple(f"{suffix} ({count})" for suffix, count in sorted(counts.items()))


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
