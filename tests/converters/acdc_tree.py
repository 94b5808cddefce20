"""A tiny raw ACDC folder, written with nibabel: `from acdc_tree import acdc_tree`."""

from pathlib import Path

import nibabel as nib
import numpy as np

SHAPE = (9, 8, 3)
AFFINE = np.diag([-1.5, -1.5, 8.0, 1.0])
INFO = "ED: 1\nES: {es}\nGroup: DCM\nHeight: 171.0\nNbFrame: 30\nWeight: 78.0\n"


def acdc_tree(raw: Path, patients: tuple[int, ...] = (1, 2), part: str = "database/training") -> Path:
    """Patients with both frames, labels and scribbles; sform code 0, qform code 1 as in the real files."""
    for number in patients:
        patient, es = f"patient{number:03d}", 7 + number
        folder = raw / part / patient
        folder.mkdir(parents=True)
        (folder / "Info.cfg").write_text(INFO.format(es=es))
        for frame in (1, es):
            rng = np.random.default_rng([number, frame])
            label = np.zeros(SHAPE, np.uint8)
            label[2:7, 2:6] = 2
            label[3:5, 3:5] = 3
            label[1, 2:5, 1:] = 1
            stem = f"{patient}_frame{frame:02d}"
            save(folder / f"{stem}.nii.gz", rng.integers(0, 900, SHAPE).astype(np.int16))
            save(folder / f"{stem}_gt.nii.gz", label)
            if "training" in part:
                scribble = np.full(SHAPE, 4, np.uint16)
                scribble[::2, ::3] = label[::2, ::3]
                save(raw / "acdc_scribbles" / f"{stem}_scribble.nii.gz", scribble)
    return raw


def save(path: Path, array: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    """One file as ACDC has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, affine)
    image.set_sform(None, 0)
    image.set_qform(affine, 1)
    nib.save(image, path)


def frame(raw: Path, patient: int, what: str = "", number: int = 1) -> Path:
    """Path of an image (`what` = ""), label ("_gt") or scribble of a patient of the training part."""
    stem = f"patient{patient:03d}_frame{number:02d}"
    if what == "_scribble":
        return raw / "acdc_scribbles" / f"{stem}_scribble.nii.gz"
    return raw / "database" / "training" / f"patient{patient:03d}" / f"{stem}{what}.nii.gz"
