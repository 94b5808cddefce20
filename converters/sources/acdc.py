"""ACDC: cine MR of the heart at end-diastole and end-systole, with the expert scribbles of Valvano et al.

Bernard et al., IEEE TMI 2018 (doi 10.1109/TMI.2018.2837502); scribbles: Valvano et al., IEEE TMI 2021.
CC BY-NC-SA 4.0. Layout, with `database/` or without it:

    database/training/patient001/Info.cfg, patient001_frame01.nii.gz, patient001_frame01_gt.nii.gz, ...
    database/testing/patient101/ ...                     the organisers' test set: held out
    acdc_scribbles/patient001_frame01_scribble.nii.gz    0 background, 1..3 as the labels, 4 = not annotated

Info.cfg names the two frames; end-diastole is not always the first (patient090: 4). Of the rest of Info.cfg only the
diagnostic group is taken.
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from converters.dataset import IGNORE
from converters.description import AnnotationSet, Channel, LabelInfo, Source
from converters.errors import BenchError
from converters.files import natural_key
from converters.source import Access, Info, Loaded, Options, PublishedSplit, RawCase, Remote
from converters.volume import Volume, read_label, read_nifti

_NOT_ANNOTATED = 4  # in the scribble files
_GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
_PATIENT = re.compile(r"patient\d{3}")
_VALIDATION = (2, 19, 28, 30, 39, 45, 78, 82, 85, 87)
_TEST = (1, 7, 8, 11, 13, 22, 24, 33, 52, 59, 64, 65, 66, 68, 75, 80, 81, 83, 84, 93)
_LABELLED = (99, 38, 50, 100, 58, 21, 49)
_TENTHS = range(10, 101, 10)  # whom WSL4MIS's semi-supervised loader labels, as far as they train


def _patients(*numbers: int) -> tuple[str, ...]:
    return tuple(f"patient{number:03d}" for number in numbers)


def _fold(k: int) -> PublishedSplit:
    test = range(20 * (k - 1) + 1, 20 * k + 1)
    return PublishedSplit(
        name=f"wsl4mis-fold{k}",
        source="Luo et al., MICCAI 2022 (WSL4MIS): five folds of twenty consecutive patients",
        train=_patients(*(n for n in range(1, 101) if n not in test)),
        val=(),
        test=_patients(*test),
        draws={"wsl4mis": _patients(*(n for n in _TENTHS if n not in test))},
    )


_SSL4MIS = PublishedSplit(
    name="ssl4mis",
    source="SSL4MIS: 70/10/20 patients; the labelled ones of its slice list, in list order",
    train=_patients(*(n for n in range(1, 101) if n not in (*_VALIDATION, *_TEST))),
    val=_patients(*_VALIDATION),
    test=_patients(*_TEST),
    draws={"ssl4mis": _patients(*_LABELLED)},
)

INFO = (
    Info(
        name="acdc",
        version="1",
        licence="CC-BY-NC-SA-4.0",
        citation=(
            "Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures Segmentation and "
            "Diagnosis, IEEE TMI 2018; scribbles: Valvano et al., Learning to Segment From Scribbles Using Multi-Scale "
            "Adversarial Attention Gates, IEEE TMI 2021"
        ),
        source=Source(collection="Automated Cardiac Diagnosis Challenge (ACDC)", doi="10.1109/TMI.2018.2837502"),
        channels=(Channel(name="cine", modality="MR", sequence="cine bSSFP"),),
        labels={"background": 0, "RV": 1, "MYO": 2, "LV": 3},
        label_info={
            "RV": LabelInfo(source_values=(1,), snomed="53085002", colour="#e69f00"),
            "MYO": LabelInfo(source_values=(2,), snomed="74281007", colour="#009e73"),
            "LV": LabelInfo(source_values=(3,), snomed="87878005", colour="#56b4e9"),
        },
        annotation_sets=(AnnotationSet(id="scribble", kind="scribble", origin="expert", path="annotations/scribble"),),
        # Measured: same image voxels at both phases, labels drawn twice (Dice 0.97). The published splits keep them on
        # one side.
        copies=(_patients(74, 76),),
        splits=(_SSL4MIS, *(_fold(k) for k in range(1, 6))),
    ),
)


_PLACE = "https://humanheart-project.creatis.insa-lyon.fr/database"

# Neither size nor checksum is published; the server packs the folder while it sends it.
ACCESS = Access(
    page="https://www.creatis.insa-lyon.fr/Challenge/acdc/databases.html",
    steps=(
        "Open the page and follow it to the database of the Human Heart Project; download the folder ACDC as a zip.",
        "Unpack it into a folder RAW, so that RAW/database/training/patient001 is there.",
        "Download the scribbles from https://vios-s.github.io/multiscale-adversarial-attention-gates/data.",
        "Unpack them, so that the files *_scribble.nii.gz lie in RAW/acdc_scribbles.",
        "bench convert acdc RAW data",
    ),
    files=(
        Remote(url=f"{_PLACE}/api/v1/folder/637218e573e9f0047faa00fc/download", name="database.zip"),
        Remote(
            url="https://github.com/gvalvano/multiscale-adversarial-attention-gates/raw/master/DATA/acdc_scribbles.zip",
            name="acdc_scribbles.zip",
        ),
    ),
)


def cases(raw: Path, dataset: str, options: Options) -> Iterator[RawCase]:
    """Both frames of every patient."""
    for base in (raw / "database", raw):
        for part in ("training", "testing"):
            for folder in sorted((base / part).glob("patient*"), key=natural_key):
                if folder.is_dir() and _PATIENT.fullmatch(folder.name):
                    yield from (_case(raw, folder, phase, held_out=part == "testing") for phase in ("ED", "ES"))


def _case(raw: Path, folder: Path, phase: str, *, held_out: bool) -> RawCase:
    info = _info(folder / "Info.cfg")
    name, patient = f"{folder.name}_{phase}", folder.name
    if not info.get(phase, "").isdecimal():
        config = folder / "Info.cfg"
        return RawCase(name, patient, (config,), partial(_no_frame, config, phase), held_out=held_out)
    frame = int(info[phase])
    stem = f"{patient}_frame{frame:02d}"
    image, label = folder / f"{stem}.nii.gz", folder / f"{stem}_gt.nii.gz"
    scribble = raw / "acdc_scribbles" / f"{stem}_scribble.nii.gz"
    # Every training frame has a label, so an absent one is a broken download; the test labels came out later.
    known_label = None if held_out and not label.is_file() else label
    known_scribble = scribble if scribble.is_file() else None
    files = (image, *(path for path in (known_label, known_scribble) if path is not None), folder / "Info.cfg")
    meta: dict[str, str | float] = {"phase": phase, "frame": float(frame)}
    if info.get("Group") in _GROUPS:
        meta["group"] = info["Group"]
    load = partial(_load, image, known_label, known_scribble)
    return RawCase(name, patient, files, load, meta, held_out=held_out)


def _info(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return {key.strip(): value.strip() for key, colon, value in (line.partition(":") for line in lines) if colon}


def _no_frame(config: Path, phase: str) -> Loaded:
    raise BenchError(f"Info.cfg names no frame for {phase}", where=config, mend=f"add the line '{phase}: <frame>'")


def _load(image: Path, label: Path | None, scribble: Path | None) -> Loaded:
    return Loaded(
        images={"cine": read_nifti(image)},
        label=None if label is None else read_label(label),
        annotations={} if scribble is None else {"scribble": _scribble(scribble)},
        stack_axis=2,
    )


def _scribble(path: Path) -> Volume:
    drawn = read_label(path)
    return Volume(np.where(drawn.array == _NOT_ANNOTATED, np.uint8(IGNORE), drawn.array), drawn.affine)
