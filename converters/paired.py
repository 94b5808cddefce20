"""Folders of images and labels that a dataset.json describes: what the sources msd and nnunet share."""

import contextlib
import dataclasses
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from converters.dataset import IGNORE
from converters.description import Channel, LabelInfo
from converters.errors import BenchError
from converters.export import IGNORED
from converters.files import is_junk, natural_key, safe_id
from converters.kept import Kept, KeptCase
from converters.paired_files import files_of, is_slice, read_channels, read_map, says_spacing
from converters.source import Loaded, RawCase
from converters.volume import Volume, read_label

DESCRIPTION = "dataset.json"
ROOMS = ("Tr", "Ts", "Un")  # imagesTr and labelsTr, what was held out, and in our own exports what has no label
Codes = int | tuple[int, ...]

_MODALITIES = {  # a word of a channel's name -> DICOM's code
    **dict.fromkeys(("ct", "cta", "cect", "nect"), "CT"),
    **dict.fromkeys(("mr", "mri", "t1", "t1w", "t1gd", "t1ce", "t2", "t2w", "flair", "adc", "dwi", "pd"), "MR"),
    **dict.fromkeys(("pet", "pt"), "PT"),
    **dict.fromkeys(("xray", "cxr", "radiograph"), "DX"),
    **dict.fromkeys(("us", "ultrasound"), "US"),
}


@dataclasses.dataclass(frozen=True)
class Pair:
    """The files of one case; a label without an image has none of the latter."""

    native: str
    images: tuple[Path, ...]
    label: Path | None
    held_out: bool = False
    annotations: Mapping[str, Path] = dataclasses.field(default_factory=dict)  # of our own datasets


@dataclasses.dataclass(frozen=True)
class Reading:
    """How the files of every case are to be read."""

    channels: tuple[str, ...]
    ignore: int | None  # the code that says: nobody annotated this
    ours: bool = False  # a dataset of this suite, where 255 says so


def roots(raw: Path) -> list[Path]:
    """The folders with a dataset.json: `raw` itself, or those in it; none where it holds no images that way.

    Raises:
        BenchError: images lie there without a dataset.json.
    """
    for found in ([raw], sorted((path for path in raw.glob("*") if not is_junk(Path(path.name))), key=natural_key)):
        there = [root for root in found if (root / DESCRIPTION).is_file()]
        if there:
            return there
        if bare := [root for root in found if (root / "imagesTr").is_dir()]:
            raise BenchError(f"there is no {DESCRIPTION}", where=bare[0], mend="restore it from the download")
    return []


def files(folder: Path, ending: str) -> dict[str, Path]:
    """The files of a folder by name without `ending`, in natural order."""
    found = sorted((path for path in folder.glob(f"*{ending}") if not is_junk(Path(path.name))), key=natural_key)
    return {path.name.removesuffix(ending): path for path in found}


def channel(name: str) -> Channel:
    """A channel of which only the name is known; the modality is OT, DICOM's word for other, where that says none."""
    words = name.lower().replace("-", " ").replace("_", " ").split()
    modality = next((_MODALITIES[word] for word in words if word in _MODALITIES), "OT")
    return Channel(name=name, modality=modality, unit="HU" if modality == "CT" else "")


def channels(named: Mapping[str, str], where: Path) -> tuple[Channel, ...]:
    """The channels in the order of their numbers, which are the keys.

    Raises:
        BenchError: the numbers do not run from 0, or two channels share a name.
    """
    if sorted(named) != sorted(str(number) for number in range(len(named))) or not named:
        raise BenchError(
            f"{where.name}: channels are numbered {', '.join(named) or 'not at all'}, not from 0", where=where
        )
    found = tuple(channel(named[str(number)]) for number in range(len(named)))
    if len(set(found)) < len(found):
        raise BenchError(f"{where.name}: two channels have one name: {', '.join(named.values())}", where=where)
    return found


def codes(labels: Mapping[str, Codes], where: Path) -> tuple[dict[str, Codes], int | None]:
    """The labels without `ignore`, and its code.

    Raises:
        BenchError: background is not 0, the codes have a gap, or `ignore` is not the one after the last.
    """
    kept = {name: code for name, code in labels.items() if name != IGNORED}
    found = sorted({code for value in kept.values() for code in (value if isinstance(value, tuple) else (value,))})
    if kept.get("background") != 0:
        raise BenchError(f"{where.name}: labels need 'background': 0", where=where, mend="name it so")
    ignore, after = labels.get(IGNORED), found[-1] + 1
    if ignore not in (None, after):
        raise BenchError(
            f"{where.name}: '{IGNORED}' is {ignore}; it must be the highest code, {after}",
            where=where,
            mend="ignore is no structure: give it the code after the last one",
        )
    if found != list(range(after)):
        raise BenchError(
            f"{where.name}: label codes {found} are not consecutive from 0", where=where, mend="number them anew"
        )
    return kept, None if ignore is None else after


def label_info(labels: Mapping[str, Codes]) -> dict[str, LabelInfo]:
    """The codes of the files are the codes of the dataset."""
    return {
        name: LabelInfo(source_values=code if isinstance(code, tuple) else (code,))
        for name, code in labels.items()
        if code != 0
    }


def ndim(pairs: Sequence[Pair]) -> Literal[2, 3]:
    """2 where the first image that can be read is one slice."""
    for path in (path for pair in pairs for path in pair.images if path.is_file()):
        with contextlib.suppress(BenchError):  # its case says what is wrong
            return 2 if is_slice(path) else 3
    return 3


def without_spacing(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """A warning where images say nothing of millimetres."""
    if all(says_spacing(path) for pair in pairs for path in pair.images):
        return ()
    return ("pictures say nothing of millimetres: 1 stands for their spacing, and distances are in pixels",)


def name(native: str, root: Path) -> str:
    """A dataset's name of anybody's making as an id: letters beyond ASCII become the nearest, other signs `-`.

    Raises:
        BenchError: nothing is left of it.
    """
    plain = unicodedata.normalize("NFKD", native).encode("ascii", "ignore").decode()
    try:
        return safe_id(re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-"))
    except BenchError:
        raise BenchError(
            f"'{native}' cannot be the name of a dataset",
            where=root,
            mend="rename the folder: letters a-z, digits and '-', at most 64",
        ) from None


def line(text: str) -> str:
    """Free text of a description as one line of bearable length."""
    return " ".join(text.split())[:300]


def subjects(natives: Iterable[str], kept: Kept | None) -> tuple[str, ...]:
    """The people behind the cases, each once; a case of which nothing is known is taken for a person."""
    known = kept.cases if kept else {}
    return tuple(dict.fromkeys(known[native].subject if native in known else native for native in natives))


def apart(names: Sequence[str], raw: Path) -> None:
    """Nothing where all names differ.

    Raises:
        BenchError: two folders would make one dataset.
    """
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BenchError(f"several folders are called {', '.join(twice)}", where=raw, mend="convert one at a time")


def unlabelled(pairs: Iterable[Pair]) -> tuple[str, ...]:
    """A warning that names the training images without a label, if there are any."""
    names = [pair.native for pair in pairs if pair.label is None and not pair.held_out]
    if not names:
        return ()
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (f"{len(names)} images have no label: {', '.join(names[:5])}{more}",)


def raw_cases(pairs: Sequence[Pair], root: Path, reading: Reading, kept: Kept | None) -> Iterator[RawCase]:
    """The cases of a folder; a label that has no image is a case that cannot be converted."""
    for pair in pairs:
        known = kept.cases.get(pair.native) if kept else None
        subject = known.subject if known else pair.native
        labels = [] if pair.label is None else [pair.label]
        images = dict.fromkeys(file for path in pair.images for file in files_of(path))
        there = (*images, *labels, *pair.annotations.values(), root / DESCRIPTION)
        meta = dict(known.meta) if known else {}
        read: Callable[[], Loaded] = partial(load, pair, reading, known)
        yield RawCase(pair.native, subject, there, read, meta, held_out=pair.held_out)


def load(pair: Pair, reading: Reading, kept: KeptCase | None) -> Loaded:
    """The voxels of a case.

    Raises:
        BenchError: a file is damaged, or the channels are not as many as the dataset's.
    """
    if not pair.images:
        assert pair.label is not None
        raise BenchError(f"the label {pair.label.name} has no image", where=pair.label, mend="restore the image")
    volumes = [volume for path in pair.images for volume in read_channels(path)]
    if len(volumes) != len(reading.channels):
        raise BenchError(
            f"{len(volumes)} channels; {DESCRIPTION} names {len(reading.channels)}: {', '.join(reading.channels)}",
            where=pair.images[0],
            mend="take the files that belong together",
        )
    label = None if pair.label is None else _label(pair.label, volumes[0], reading)
    images = dict(zip(reading.channels, volumes, strict=True))
    if kept is None:
        return Loaded(images, label, spacing_known=all(map(says_spacing, pair.images)))
    return Loaded(
        images,
        label,
        {name: read_label(path) for name, path in pair.annotations.items()},
        stack_axis=kept.slice_axis,
        spacing_known=kept.spacing_known,
        preparation=kept.preparation,
    )


def _label(path: Path, image: Volume, reading: Reading) -> Volume:
    volume = read_map(path, image)
    if not reading.ours and (count := int((volume.array == IGNORE).sum())):
        raise BenchError(
            f"{path.name}: {count} voxels hold 255, which {DESCRIPTION} does not name",
            where=path,
            mend="repair the label map; nothing is guessed",
        )
    if reading.ignore is None:
        return volume
    return Volume(np.where(volume.array == reading.ignore, np.uint8(IGNORE), volume.array), volume.affine)
