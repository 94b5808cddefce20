"""Made-up heads in the native layout of MRBrainS13: plain NIfTI, both label maps, test persons without labels."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from converters import mrbrains
from converters.phantoms.brain import Affine, LabelMap, Scan, save, scan
from converters.phantoms.scan import generator
from converters.phantoms.truth import LABEL, Probe, probes
from converters.volume import Volume

_SHAPE, _SPACING = (48, 46, 12), (4.79, 4.79, 12.0)
_FILES = {"t1": "T1", "ir": "T1_IR", "flair": "T2_FLAIR"}


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What users have met in their copies of the set."""

    top: bool = True  # MRBrainS13DataNii/ stands above the parts
    zipped: bool = False  # the labels were gzipped
    differ: int = 3  # voxels in which the two label maps disagree


NATURAL = Quirks()


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` training persons, and half as many test persons, who have numbers of training persons.

    Beside the three contrasts on one grid lies T1_1mm on another.
    """
    root = out / "MRBrainS13DataNii" if quirks.top else out
    for part, number, head in _heads(cases, seed):
        folder = root / part / str(number)
        for contrast, name in _FILES.items():
            save(folder / f"{name}.nii", head.images[contrast], head.affine)
        fine = _affine(seed, part, number, (7.0, 7.0, 7.0))
        save(folder / "T1_1mm.nii", scan((seed, part, number), fine, (32, 32, 24)).images["t1"], fine)
        if part == "TrainingData":
            ending = ".nii.gz" if quirks.zipped else ".nii"
            save(folder / f"LabelsForTraining{ending}", head.label, head.affine)
            save(folder / f"LabelsForTesting{ending}", _tissues(head, quirks.differ), head.affine)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """Voxels of every channel and both label maps, as `write` draws them."""
    for part, number, head in _heads(cases, seed):
        training = part == "TrainingData"
        name = f"{'training' if training else 'test'}-{number}"
        for dataset, label in (("mrbrains13", head.label), ("mrbrains13-tissue", _tissues(head, NATURAL.differ))):
            for contrast, image in head.images.items():
                yield from probes((dataset, name, contrast), image, head.affine)
            if training:
                yield from probes((dataset, name, LABEL), label, head.affine)


def _heads(cases: int, seed: int) -> Iterator[tuple[str, int, Scan]]:
    for part, count in (("TrainingData", cases), ("TestData", cases // 2)):
        for number in range(1, count + 1):
            yield part, number, scan((seed, part, number), _affine(seed, part, number, _SPACING), _SHAPE)


def _affine(seed: int, part: str, number: int, spacing: tuple[float, float, float]) -> Affine:
    """Columns to the person's left, rows to the front; the head lies not quite in the middle."""
    rng = generator(seed, "mrbrains13", part, number)
    affine = np.diag([-spacing[0], spacing[1], spacing[2], 1.0])
    affine[:3, 3] = rng.uniform(-4, 4, 3).round(2) + np.array([112.0, -108.0, -70.0])
    return affine


def _tissues(head: Scan, differ: int) -> LabelMap:
    """LabelsForTesting: folded, but for a few voxels of grey matter that the second look called white."""
    label: LabelMap = mrbrains.fold(Volume(head.label, head.affine)).array.astype(np.uint8)
    label.ravel()[np.flatnonzero(label == mrbrains.GM)[:differ]] = mrbrains.WM
    return label
