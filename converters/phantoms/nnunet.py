"""Made-up raw datasets in the layout of nnU-Net v2: one with its ignore label, one with regions."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from converters.dataset import IGNORE
from converters.phantoms.lump import CORE, SPOT, Lump, draw, save
from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import generator
from converters.phantoms.truth import LABEL, Probe, probes

_STROKES, _NESTED = "Dataset781_Strokes", "Dataset782_Nested"
_IGNORE = 3  # nnU-Net's code, the one after the last
_ORPHAN = 97


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What differs from folder to folder in the wild."""

    listed: bool = False  # the nested ones are named by the key `dataset`, with folders of their own
    unlabelled: bool = False  # the last stroke case has no label
    orphan: bool = False  # a label without an image
    junk: bool = True  # ._ files of macOS
    bom: bool = False  # dataset.json starts with a byte order mark


NATURAL = Quirks()


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write two raw datasets of `cases` cases below `out`.

    One has strokes over CT in `.nii.gz`, and splits_final.json; the other nested regions over two contrasts in `.nii`.
    The first cases are the same however many are asked for.
    """
    _write_strokes(out / _STROKES, cases, seed, quirks)
    _write_nested(out / _NESTED, cases, seed, quirks)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """What a conversion of the same folders must hold."""
    for case in range(cases):
        lump, strokes = _strokes(seed, case)
        seen = np.where(strokes == _IGNORE, np.uint8(IGNORE), strokes)
        yield from probes(("strokes", f"stroke_{case:03d}", "CT"), lump.channels[0], lump.affine)
        yield from probes(("strokes", f"stroke_{case:03d}", LABEL), seen, lump.affine)
        lump = draw(seed, "nested", case, 2)
        for channel, image in zip(("T1", "T2"), lump.channels, strict=True):
            yield from probes(("nested", f"Nested {case}", channel), image, lump.affine)
        yield from probes(("nested", f"Nested {case}", LABEL), lump.label, lump.affine)


def _strokes(seed: int, case: int) -> tuple[Lump, npt.NDArray[np.uint8]]:
    """A lump of two structures, and a label map with strokes in some slices."""
    lump = draw(seed, "strokes", case)
    seen = generator(seed, "pen", case).random(lump.label.shape) < 0.3
    seen[:, :, ::3] = False
    return lump, np.where(seen, np.minimum(lump.label, np.uint8(CORE)), np.uint8(_IGNORE))


def _write_strokes(root: Path, cases: int, seed: int, quirks: Quirks) -> None:
    names = [f"stroke_{case:03d}" for case in range(cases)]
    for case, name in enumerate(names):
        lump, strokes = _strokes(seed, case)
        save(root / "imagesTr" / f"{name}_0000.nii.gz", lump.channels[0], lump.affine)
        if not (quirks.unlabelled and case == cases - 1):
            save(root / "labelsTr" / f"{name}.nii.gz", strokes, lump.affine)
    if quirks.orphan:
        save(root / "labelsTr" / f"stroke_{_ORPHAN:03d}.nii.gz", strokes, lump.affine)
    if quirks.junk:
        (root / "imagesTr" / f"._{names[0]}_0000.nii.gz").write_bytes(b"\0\5\x16\7Mac OS X")
    _describe(
        root,
        {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "shell": 1, "core": 2, "ignore": _IGNORE},
            "numTraining": cases,
            "file_ending": ".nii.gz",
        },
        bom=quirks.bom,
    )
    if cases > 1:
        folds = [{"train": [n for n in names if n != name], "val": [name]} for name in names[:2]]
        (root / "splits_final.json").write_text(json.dumps(folds), encoding="utf-8")


def _write_nested(root: Path, cases: int, seed: int, quirks: Quirks) -> None:
    listed = {}
    for case in range(cases):
        lump, name = draw(seed, "nested", case, 2), f"Nested {case}"
        folder = f"site {case % 2}/" if quirks.listed else ""
        images = [f"{folder}imagesTr/{name}_{number:04d}.nii" for number in range(2)]
        label = f"{folder}labelsTr/{name}.nii"
        for path, channel in zip(images, lump.channels, strict=True):
            save(root / path, channel, lump.affine)
        save(root / label, lump.label, lump.affine)
        listed[name] = {"images": images, "label": label}
    value = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "whole": [1, CORE, SPOT], "inside": [CORE, SPOT], "spot": SPOT},
        "regions_class_order": [1, CORE, SPOT],
        "numTraining": cases,
        "file_ending": ".nii",
    }
    _describe(root, value | ({"dataset": listed} if quirks.listed else {}))


def _describe(root: Path, value: dict[str, object], *, bom: bool = False) -> None:
    text = json.dumps({"name": f"made up: {TOKEN}", "licence": "CC0-1.0", "reference": "nobody", **value}, indent=2)
    (root / "dataset.json").write_bytes((b"\xef\xbb\xbf" if bom else b"") + text.encode())
