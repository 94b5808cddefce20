"""Made-up heads in the native layout of MRBrainS18: pre/ and orig/ folders, one label map with pathology."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters import mrbrains
from converters.phantoms.brain import Affine, Scan, save, scan
from converters.phantoms.scan import generator
from converters.phantoms.truth import LABEL, Probe, probes
from converters.volume import Volume

_SHAPE, _SPACING = (46, 48, 12), (4.79, 4.79, 12.0)
_FILES = {"t1": "reg_T1", "ir": "reg_IR", "flair": "FLAIR"}
# Folders of the training part, then further people; the challenge's own archive calls two of them otherwise.
_IDS = ("1", "4", "5", "7", "14", "27", "29")
_LONG = {"27": "070", "29": "148"}


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What differs between the archives of the set."""

    part: bool = True  # training/ stands above the folders
    long_ids: bool = False  # 070 and 148, as in the challenge's archive
    pathology: bool | None = None  # infarction and other; None: in every other person
    unzipped: bool = False  # segm.nii


NATURAL = Quirks()


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` persons: bias-corrected images in pre/, the scanner's in orig/, some on grids of their own."""
    root = out / "training" if quirks.part else out
    for name, head in _heads(cases, seed, quirks.pathology):
        folder = root / (_LONG.get(name, name) if quirks.long_ids else name)
        save(folder / ("segm.nii" if quirks.unzipped else "segm.nii.gz"), head.label, head.affine)
        fine = _affine(seed, name, (7.0, 7.0, 7.0))
        own = scan((seed, "training", int(name)), fine, (32, 32, 24)).images
        for place, gain in (("pre", 1), ("orig", 2)):
            for contrast, file in _FILES.items():
                save(folder / place / f"{file}.nii.gz", gain * head.images[contrast], head.affine)
            for contrast, file in (("t1", "T1"), ("ir", "IR")):
                save(folder / place / f"{file}.nii.gz", gain * own[contrast], fine)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """Voxels of every channel and label, as `write` draws them; pathology is 255."""
    for name, head in _heads(cases, seed, None):
        label = np.where(head.label > 8, np.uint8(255), head.label)
        folded = mrbrains.fold(Volume(label, head.affine)).array
        for dataset, reference in (("mrbrains18", label), ("mrbrains18-tissue", folded)):
            for contrast, image in head.images.items():
                yield from probes((dataset, name, contrast), image, head.affine)
            yield from probes((dataset, name, LABEL), reference, head.affine)


def _heads(cases: int, seed: int, pathology: bool | None) -> Iterator[tuple[str, Scan]]:
    further = (str(number) for number in range(201, 201 + cases))
    for number, name in zip(range(cases), (*_IDS, *further), strict=False):
        ill = number % 2 == 0 if pathology is None else pathology
        key, affine = (seed, "training", int(name)), _affine(seed, name, _SPACING)
        yield name, scan(key, affine, _SHAPE, pathology=ill)


def _affine(seed: int, name: str, spacing: tuple[float, float, float]) -> Affine:
    """RAS, leaning back by a few degrees: the slices follow the head."""
    rng = generator(seed, "mrbrains18", name)
    lean = np.radians(rng.uniform(2, 7))
    turn = np.array([[1, 0, 0], [0, np.cos(lean), -np.sin(lean)], [0, np.sin(lean), np.cos(lean)]])
    affine = np.eye(4)
    affine[:3, :3] = turn * np.array(spacing)
    affine[:3, 3] = rng.uniform(-4, 4, 3).round(2) + np.array([-108.0, -112.0, -66.0])
    return affine
