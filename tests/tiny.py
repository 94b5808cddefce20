"""A small dataset in the uniform format, on disk, for any test: `from tiny import tiny_dataset`."""

import hashlib
from pathlib import Path

import numpy as np

from converters.dataset import IGNORE, Annotation, Case, Dataset, Geometry, ImageFile, SourceFile
from converters.description import FORMAT, AnnotationSet, Card, Channel, DatasetFile, LabelInfo, Source
from converters.volume import Volume, data_sha256, write_nifti

LABELS = {"background": 0, "right": 1, "wall": 2, "left": 3}
SPACING = (1.5, 1.5, 8.0)
EXPERT = "scribble-expert"


def tiny_dataset(
    root: Path,
    subjects: int = 10,
    *,
    shape: tuple[int, int, int] = (32, 28, 4),
    unlabelled: int = 0,
    held_out: int = 0,
    scribbles: bool = False,
) -> Dataset:
    """A made-up short-axis heart in `root`: subjects s00, s01 ... with cases s00-ed and s00-es, one MR channel.

    Labels: 1 right, a crescent; 2 wall, a ring; 3 left, a disc inside it. All three in every slice but the first,
    which is empty. Image int16, brighter inside, so that a network can learn it.
    `unlabelled`, `held_out`: so many of the last subjects have no label (imagesUn), or are the organiser's test
    cases (imagesTs, labelsTs). `scribbles`: an expert annotation set for all labelled cases.
    """
    names = [f"s{n:02d}" for n in range(subjects)]
    kinds = dict.fromkeys(names, "Tr")
    kinds |= dict.fromkeys(names[subjects - held_out :], "Ts")
    kinds |= dict.fromkeys(names[subjects - unlabelled :], "Un")
    cases = tuple(
        _case(root, f"{name}-{phase}", name, kinds[name], (shape, scribbles))
        for name in names
        for phase in ("ed", "es")
    )
    dataset = Dataset(root, _file(cases, "", scribbles), cases)
    dataset = Dataset(root, _file(cases, dataset.content_sha256(), scribbles), cases)
    dataset.save()
    return dataset


def heart(name: str, shape: tuple[int, int, int]) -> np.ndarray:
    """The label map of a case, uint8, a pure function of its name."""
    rng = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
    centre = np.array(shape[:2]) * (0.5, 0.42) + rng.uniform(-1.5, 1.5, 2)
    size = min(shape[:2]) * rng.uniform(0.24, 0.3) * (0.85 if name.endswith("es") else 1.0)
    x, y = np.meshgrid(*map(np.arange, shape[:2]), indexing="ij")
    label = np.zeros(shape, np.uint8)
    for z in range(1, shape[2]):
        outer = size * (1 - 0.25 * z / shape[2])
        distance = np.hypot(x - centre[0], y - centre[1])
        crescent = np.hypot(x - centre[0] + 0.3 * outer, y - centre[1] - 0.8 * outer) < outer
        label[..., z] = np.select([distance < 0.6 * outer, distance < outer, crescent], [3, 2, 1], 0)
    return label


def affine() -> np.ndarray:
    """RAS+, no rotation."""
    return np.diag([*SPACING, 1.0])


def _case(root: Path, case_id: str, subject: str, kind: str, how: tuple[tuple[int, int, int], bool]) -> Case:
    shape, scribbles = how
    label = heart(case_id, shape)
    noise = np.random.default_rng(len(case_id) + label.sum()).normal(0, 20, shape)
    image = Volume((np.array([50, 300, 150, 400])[label] + noise).astype(np.int16), affine())
    file = f"images{kind}/{case_id}_0000.nii.gz"
    write_nifti(root / file, image)
    annotations = {}
    if scribbles and kind != "Un":
        strokes = np.full(shape, IGNORE, np.uint8)
        strokes[::3, ::2] = label[::3, ::2]
        annotations[EXPERT] = _annotation(root, f"annotations/{EXPERT}/{case_id}.nii.gz", strokes, "scribble")
    return Case(
        id=case_id,
        native_id=f"Native_{case_id}",
        subject=subject,
        geometry=Geometry(
            shape=shape,
            spacing_mm=SPACING,
            affine=tuple(tuple(map(float, row)) for row in affine()),
            source_orientation="LPS",
            slice_axis=2,
        ),
        images={
            "cine": ImageFile(
                file=file,
                dtype="int16",
                data_sha256=data_sha256(image),
                range=(float(image.array.min()), float(image.array.max())),
            )
        },
        label=None if kind == "Un" else _annotation(root, f"labels{kind}/{case_id}.nii.gz", label, "dense"),
        annotations=annotations,
        meta={"phase": case_id[-2:].upper(), "volume_ml": float((label == 3).sum())},
        sources=(SourceFile(path=f"raw/{case_id}_gt.nii.gz", bytes=1, sha256="f" * 64),),
        warnings=(f"{case_id}: {int((label == 3).sum())} voxels of left",),
    )


def _annotation(root: Path, file: str, array: np.ndarray, kind: str) -> Annotation:
    volume = Volume(array, affine())
    write_nifti(root / file, volume)
    values, counts = np.unique(array, return_counts=True)
    return Annotation(
        file=file,
        kind=kind,
        origin="expert",
        data_sha256=data_sha256(volume),
        voxels={str(value): int(n) for value, n in zip(values, counts, strict=True)},
        annotated_fraction=float((array != IGNORE).mean()),
    )


def _file(cases: tuple[Case, ...], content: str, scribbles: bool) -> DatasetFile:
    sets = (AnnotationSet(id=EXPERT, kind="scribble", origin="expert", path=f"annotations/{EXPERT}"),)
    return DatasetFile(
        name="tiny",
        licence="CC0-1.0",
        channel_names={"0": "cine"},
        labels=dict(LABELS),
        numTraining=sum(case.images["cine"].file.startswith("imagesTr/") for case in cases),
        bench=Card(
            format=FORMAT,
            ndim=3,
            version="1",
            citation="made up",
            source=Source(collection="tiny"),
            channels=(Channel(name="cine", modality="MR"),),
            label_info={name: LabelInfo(source_values=(value,)) for name, value in LABELS.items() if value},
            content_sha256=content,
            annotation_sets=sets if scribbles else (),
            warnings=("the mean volume of left is 42 voxels",),
        ),
    )
