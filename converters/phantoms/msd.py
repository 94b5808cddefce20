"""Made-up tasks in the native layout of the Medical Segmentation Decathlon, with what is found in the wild."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters.phantoms.lump import CORE, SPOT, Lump, draw, save
from converters.phantoms.mark import TOKEN
from converters.phantoms.truth import LABEL, Probe, probes

_GLAND, _LIVER = "Task81_Gland", "Task82_Nodule"
_UNLABELLED, _HELD_OUT, _ORPHAN = 90, 95, 97  # numbers of cases beside those that were asked for


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What differs from task to task in the wild."""

    float_labels: bool = True  # every second label map of the gland is stored as float
    fraction: bool = False  # one of these was interpolated
    junk: bool = True  # ._ files of macOS
    unlabelled: bool = True  # an image in imagesTr without a label, in no list
    held_out: bool = False  # an image in imagesTs
    orphan: bool = False  # a label without an image, in no list
    bom: bool = False  # dataset.json starts with a byte order mark


NATURAL = Quirks()


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write two tasks of `cases` labelled cases below `out`: a gland of two channels (4-D files), a nodule in CT.

    The first cases are the same however many are asked for.
    """
    _write_gland(out / _GLAND, cases, seed, quirks)
    for case in range(cases):
        _write_case(out / _LIVER, f"nodule_{case:03d}", _nodule(seed, case))
    names = [f"nodule_{case:03d}" for case in range(cases)]
    _describe(out / _LIVER, ["CT"], ["background", "liver", "nodule"], names)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """What a conversion of the same tasks must hold."""
    for case in (*range(cases), _UNLABELLED):
        lump = draw(seed, "gland", case, 2)
        for channel, image in zip(("T2", "ADC"), lump.channels, strict=True):
            yield from probes(("msd-gland", f"gland_{case:02d}", channel), image, lump.affine)
        if case != _UNLABELLED:
            yield from probes(("msd-gland", f"gland_{case:02d}", LABEL), lump.label, lump.affine)
    for case in range(cases):
        lump = _nodule(seed, case)
        yield from probes(("msd-nodule", f"nodule_{case:03d}", "CT"), lump.channels[0], lump.affine)
        yield from probes(("msd-nodule", f"nodule_{case:03d}", LABEL), lump.label, lump.affine)


def _nodule(seed: int, case: int) -> Lump:
    """The spot is part of the core here, and air is black."""
    lump = draw(seed, "nodule", case)
    return Lump((lump.channels[0] - np.int16(900),), np.minimum(lump.label, np.uint8(CORE)), lump.affine)


def _write_gland(root: Path, cases: int, seed: int, quirks: Quirks) -> None:
    names = [f"gland_{case:02d}" for case in range(cases)]
    for case, name in enumerate(names):
        lump = draw(seed, "gland", case, 2)
        _write_case(root, name, lump, float_label=quirks.float_labels and case % 2 == 1)
    if quirks.fraction:
        lump = draw(seed, "gland", 0, 2)
        broken = lump.label.astype(np.float32)
        broken[lump.label == SPOT] = 2.5
        save(root / "labelsTr" / f"{names[0]}.nii.gz", broken, lump.affine)
    extra = {"imagesTr": _UNLABELLED} if quirks.unlabelled else {}
    extra |= {"imagesTs": _HELD_OUT} if quirks.held_out else {}
    for folder, case in extra.items():
        lump = draw(seed, "gland", case, 2)
        save(root / folder / f"gland_{case:02d}.nii.gz", np.stack(lump.channels, axis=-1), lump.affine)
    if quirks.orphan:
        lump = draw(seed, "gland", _ORPHAN, 2)
        save(root / "labelsTr" / f"gland_{_ORPHAN:02d}.nii.gz", lump.label, lump.affine)
    if quirks.junk:
        for folder in ("imagesTr", "labelsTr"):
            (root / folder / f"._{names[0]}.nii.gz").write_bytes(b"\0\5\x16\7Mac OS X")
    held_out = [f"gland_{_HELD_OUT:02d}"] if quirks.held_out else []
    _describe(root, ["T2", "ADC"], ["background", "shell", "core", "spot"], names, held_out)
    if quirks.bom:
        path = root / "dataset.json"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def _write_case(root: Path, name: str, lump: Lump, *, float_label: bool = False) -> None:
    image = np.stack(lump.channels, axis=-1) if len(lump.channels) > 1 else lump.channels[0]
    save(root / "imagesTr" / f"{name}.nii.gz", image, lump.affine)
    label = lump.label.astype(np.float32) if float_label else lump.label
    save(root / "labelsTr" / f"{name}.nii.gz", label, lump.affine)


def _describe(
    root: Path, channels: list[str], labels: list[str], names: list[str], held_out: list[str] | None = None
) -> None:
    """dataset.json as the real ones are: one line an entry, `relase` for release."""
    value = {
        "name": root.name.partition("_")[2],
        "description": f"made up: {TOKEN}",
        "reference": "nobody",
        "licence": "CC0-1.0",
        "relase": "1.0",
        "tensorImageSize": "4D" if len(channels) > 1 else "3D",
        "modality": {str(number): name for number, name in enumerate(channels)},
        "labels": {str(number): name for number, name in enumerate(labels)},
        "numTraining": len(names),
        "numTest": len(held_out or []),
        "training": [{"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in names],
        "test": [f"./imagesTs/{name}.nii.gz" for name in held_out or []],
    }
    (root / "dataset.json").write_text(json.dumps(value, indent=1), encoding="utf-8")
