"""Which label slice of CHAOS belongs to which image slice: by number or by name, and refused where that is not told."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from converters.errors import BenchError

Key = TypeVar("Key")

CT_IMAGE = re.compile(r"i(\d+),\d+b\.dcm|IMG-\d+-(\d+)\.dcm", re.IGNORECASE)
_CT_LABEL = re.compile(r"liver_GT_(\d+)\.png", re.IGNORECASE)


def by_number(images: Sequence[Path], labels: Sequence[Path], study: Path, part: bool) -> dict[Path, Path]:
    """CT slice -> label: by number, or by rank where the slices count from another number than the labels."""
    slices, drawn = _numbered(images, CT_IMAGE), _numbered(labels, _CT_LABEL)
    loose = all(path.name.upper().startswith("IMG") for path in images)
    if loose and part and len(slices) != len(drawn):
        raise BenchError(
            f"{len(drawn)} label slices for {len(slices)} image slices, which count from numbers of their own",
            where=study,
            mend="remove the label slices of the missing images, or all other series, from the folder",
        )
    if loose and len(slices) == len(drawn) and slices.keys() != drawn.keys():
        a, b = ([number - min(found) for number in sorted(found)] for found in (slices, drawn))
        # Ranks can be trusted where both miss the same numbers, or the labels miss none.
        if a == b or b == list(range(len(b))):
            slices = dict(enumerate(slices[number] for number in sorted(slices)))
            drawn = dict(enumerate(drawn[number] for number in sorted(drawn)))
    return partners(slices, drawn, study, part)


def _numbered(paths: Sequence[Path], name: re.Pattern[str]) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in paths:
        match = name.fullmatch(path.name)
        if match is None or int(match[match.lastindex or 1]) in found:
            raise BenchError(
                f"{path.name}: no slice number of its own in the name", where=path, mend="restore the original names"
            )
        found[int(match[match.lastindex or 1])] = path
    return found


def partners(images: Mapping[Key, Path], labels: Mapping[Key, Path], study: Path, part: bool) -> dict[Path, Path]:
    """Image slice -> label slice; `part`: the user picked some of the slices, so labels may be left over."""
    alone = [images[key].name for key in images if key not in labels]
    alone += [] if part else [labels[key].name for key in labels if key not in images]
    if alone:
        raise BenchError(
            f"{len(labels)} label slices for {len(images)} image slices; without a partner: "
            f"{', '.join(alone[:5])}{' ...' if len(alone) > 5 else ''}",
            where=study,
            mend="unpack the archive again; cases without labels belong below Test_Sets",
        )
    return {images[key]: labels[key] for key in images}
