"""MRBrainS13: brains of twenty people at 3T (T1, T1 inversion recovery, T2 FLAIR), eight classes or three tissues.

Mendrik et al., Computational Intelligence and Neuroscience 2015, 813696. Under the organisers' terms: no passing on.
Layout, with `MRBrainS13DataNii/` above it or not:

    TrainingData/1..5/   T1.nii T1_1mm.nii T1_IR.nii T2_FLAIR.nii LabelsForTraining.nii LabelsForTesting.nii
    TestData/1..15/      the same without labels: held out

Traps: numbers of training and test name different people, so ids carry the part. T1_1mm lies on another grid and is
left aside. LabelsForTesting calls cerebellum and brainstem background.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from converters import mrbrains
from converters.description import LabelInfo, Source
from converters.files import stored
from converters.plausible import check_body
from converters.source import Access, Info, Loaded, Options, RawCase
from converters.volume import Volume, read_label, read_nifti

_IMAGES = ("T1.nii", "T1_IR.nii", "T2_FLAIR.nii")
_STRUCTURES, _TISSUES = "LabelsForTraining.nii", "LabelsForTesting.nii"


def _info(name: str, labels: dict[str, LabelInfo]) -> Info:
    return Info(
        name=name,
        version="1",
        licence="LicenseRef-MRBrainS13-terms",
        citation=(
            "Mendrik et al., MRBrainS Challenge: Online Evaluation Framework for Brain Image Segmentation in 3T MRI "
            "Scans, Computational Intelligence and Neuroscience 2015, 813696"
        ),
        source=Source(collection="MR Brain Segmentation Challenge 2013 (MRBrainS13)", doi="10.34894/645ZIN"),
        channels=mrbrains.CHANNELS,
        labels=mrbrains.numbered(labels),
        label_info=labels,
        warnings=("the organisers' terms forbid passing on the data or anything derived from them",),
    )


INFO = (
    _info("mrbrains13", mrbrains.STRUCTURES),
    _info("mrbrains13-tissue", mrbrains.tissues(lambda code: (code,))),
)
ACCESS = Access(
    page="https://doi.org/10.34894/645ZIN",
    steps=(
        "Read the terms at https://mrbrains13.isi.uu.nl/terms-of-participation/: the data are not to be passed on.",
        "Open https://doi.org/10.34894/645ZIN, accept the terms of the data set there, and download its files.",
        "Unpack them into one folder, which then holds TrainingData/1 ... 5 and TestData/1 ... 15.",
        "bench convert mrbrains13 FOLDER data",
    ),
)


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Every person; those of TestData have no labels."""
    seen: dict[str, Path] = {}
    for folder, in_test in mrbrains.people(raw, _is_person):
        structures, tissues = (stored(folder, name) for name in (_STRUCTURES, _TISSUES))
        there = tuple(path for path in (structures, tissues) if path.is_file())
        held_out = not there if in_test is None else in_test
        name = mrbrains.once(seen, f"{'test' if held_out else 'training'}-{folder.name}", folder)
        images = tuple(stored(folder, image) for image in _IMAGES)
        # Every person of the training part has labels, so absent ones there are a broken download.
        wanted = structures if dataset == "mrbrains13" or there == (structures,) else tissues
        labels = there if held_out else tuple(dict.fromkeys((wanted, *there)))
        load = partial(_load, images, structures, tissues, dataset, labelled=bool(labels))
        yield RawCase(name, name, (*images, *labels), load, held_out=held_out)


def _is_person(folder: Path) -> bool:
    return any(stored(folder, file).is_file() for file in (*_IMAGES, _STRUCTURES, _TISSUES))


def _load(images: tuple[Path, ...], structures: Path, tissues: Path, dataset: str, *, labelled: bool) -> Loaded:
    channels = {channel.name: read_nifti(path) for channel, path in zip(mrbrains.CHANNELS, images, strict=True)}
    if not labelled:
        return Loaded(channels, stack_axis=2)
    label, warnings = _label(structures, tissues, dataset)
    if label is not None:
        check_body(channels["t1"], label, images[0].parent)
    return Loaded(channels, label, stack_axis=2, warnings=warnings)


def _label(structures: Path, tissues: Path, dataset: str) -> tuple[Volume | None, tuple[str, ...]]:
    """The label map of the dataset, checked against the other one where both are there."""
    eight, three = (
        mrbrains.known(read_label(path), highest, path) if path.is_file() else None
        for path, highest in ((structures, 8), (tissues, 3))
    )
    warnings = () if eight is None or three is None else mrbrains.check_fold(eight, three, structures.parent)
    if dataset == "mrbrains13":
        return eight, warnings
    if three is None and eight is not None:
        return mrbrains.fold(eight), ("there is no LabelsForTesting: the three tissues are the eight classes, folded",)
    return three, warnings
