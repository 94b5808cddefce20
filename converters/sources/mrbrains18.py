"""MRBrainS18: brains at 3T (T1, T1 inversion recovery, T2 FLAIR) with pathology, eight classes or three tissues.

Kuijf et al., MR Brain Segmentation Challenge 2018 Data (doi 10.34894/E0U32Q). Under the organisers' terms. Layout,
`training/` or `test/` or neither above it:

    <id>/segm.nii.gz
    <id>/pre/reg_T1.nii.gz reg_IR.nii.gz FLAIR.nii.gz    bias-corrected, on the grid of segm
    <id>/pre/T1.nii.gz IR.nii.gz                         on grids of their own: left aside
    <id>/orig/...                                        before bias correction: left aside

Traps: the ids are those of the folders, 1 4 5 7 14 070 148 in the challenge's archive and 1 4 5 7 14 27 29 in
DataverseNL's. Classes 9 (infarction) and 10 (other) are excluded from scoring: 255, not background.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from converters import mrbrains
from converters.description import LabelInfo, Source
from converters.files import stored
from converters.plausible import check_body
from converters.source import Access, Info, Loaded, Options, RawCase
from converters.volume import read_label, read_nifti

_IMAGES = ("reg_T1.nii.gz", "reg_IR.nii.gz", "FLAIR.nii.gz")
_LABEL = "segm.nii.gz"
_EXCLUDED = {9: "infarction", 10: "other"}


def _info(name: str, labels: dict[str, LabelInfo], *warnings: str) -> Info:
    return Info(
        name=name,
        version="1",
        licence="LicenseRef-MRBrainS18-terms",
        citation=(
            "Kuijf, Bennink, Vincken, Weaver, Biessels and Viergever, MR Brain Segmentation Challenge 2018 Data, "
            "DataverseNL, 2024"
        ),
        source=Source(collection="MR Brain Segmentation Challenge 2018 (MRBrainS18)", doi="10.34894/E0U32Q"),
        channels=mrbrains.CHANNELS,
        labels=mrbrains.numbered(labels),
        label_info=labels,
        warnings=(
            "use of the data is bound by the organisers' terms",
            "infarctions and other lesions (9 and 10 in the source) are 255 in the reference: excluded from scoring",
            *warnings,
        ),
    )


INFO = (
    _info("mrbrains18", mrbrains.STRUCTURES),
    _info(
        "mrbrains18-tissue",
        mrbrains.tissues(mrbrains.folded_from),
        "the collection has no labels of three tissues: this reference is its eight classes, folded by the rule of "
        "MRBrainS13 (1, 2 to GM; 3, 4 to WM; 5, 6 to CSF; cerebellum and brainstem to background)",
    ),
)
ACCESS = Access(
    page="https://doi.org/10.34894/E0U32Q",
    steps=(
        "Read what the challenge says of its data at https://mrbrains18.isi.uu.nl/data/.",
        "Open https://doi.org/10.34894/E0U32Q, accept the terms of the data set there, and download its archives.",
        "Unpack them into one folder, which then holds training/1, training/4 ... and, where downloaded, test/2 ...",
        "bench convert mrbrains18 FOLDER data",
    ),
)


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Every person; those of a test part are held out, with or without labels."""
    seen: dict[str, Path] = {}
    for folder, in_test in mrbrains.people(raw, _is_person):
        name = mrbrains.once(seen, folder.name, folder)
        images = tuple(stored(folder / "pre", image) for image in _IMAGES)
        segm = stored(folder, _LABEL)
        held_out = bool(in_test)
        # Every person of the training part has labels, so absent ones there are a broken download.
        label = segm if segm.is_file() or not held_out else None
        files = (*images, segm) if label else images
        yield RawCase(name, name, files, partial(_load, images, label, dataset), held_out=held_out)


def _is_person(folder: Path) -> bool:
    return (folder / "pre").is_dir() or stored(folder, _LABEL).is_file()


def _load(images: tuple[Path, ...], segm: Path | None, dataset: str) -> Loaded:
    channels = {channel.name: read_nifti(path) for channel, path in zip(mrbrains.CHANNELS, images, strict=True)}
    if segm is None:
        return Loaded(channels, stack_axis=2)
    label, warnings = mrbrains.excluded(mrbrains.known(read_label(segm), max(_EXCLUDED), segm), _EXCLUDED)
    check_body(channels["t1"], label, segm.parent)
    if dataset == "mrbrains18-tissue":
        label = mrbrains.fold(label)
    return Loaded(channels, label, stack_axis=2, warnings=warnings)
