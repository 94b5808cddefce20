"""Made-up patients in the native layout of ACDC with expert scribbles: NIfTI, Info.cfg, short-axis stacks."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from isal import igzip

from converters.dataset import IGNORE
from converters.phantoms.heart import LEFT, MUSCLE, RIGHT, Patient, Slices, render
from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import Canvas, Field, generator
from converters.phantoms.truth import LABEL, Probe, probes

Codes = npt.NDArray[np.uint8]

_NOT_ANNOTATED = 4


def write(out: Path, cases: int, seed: int) -> None:
    """Write `cases` patients below `out`: `database/training/patientXXX/` and `acdc_scribbles/`.

    Every patient has an end-diastolic and an end-systolic frame, a label map and a scribble for each. As in the
    real set, ED is now and then not the first frame, Info.cfg may lack lines, and only the qform is set.
    The first patients are the same however many are asked for.
    """
    scribbles = out / "acdc_scribbles"
    scribbles.mkdir(parents=True, exist_ok=True)
    for case in range(1, cases + 1):
        name = f"patient{case:03d}"
        folder = out / "database" / "training" / name
        folder.mkdir(parents=True, exist_ok=True)
        patient = Patient.draw(seed, case)
        (folder / "Info.cfg").write_bytes(_info(patient, _frames(patient)))
        for frame, image, label, strokes in _drawn(patient):
            stem = f"{name}_frame{frame:02d}"
            _write_nifti(folder / f"{stem}.nii.gz", image, patient.spacing)
            _write_nifti(folder / f"{stem}_gt.nii.gz", label, patient.spacing)
            _write_nifti(scribbles / f"{stem}_scribble.nii.gz", strokes.astype(np.uint16), patient.spacing)


def truth(cases: int, seed: int) -> Iterator[Probe]:
    """What a conversion of the same patients must hold."""
    for case in range(1, cases + 1):
        patient = Patient.draw(seed, case)
        affine = np.diag([-patient.spacing[0], -patient.spacing[1], patient.spacing[2], 1])
        for phase, (_, image, label, strokes) in zip(("ED", "ES"), _drawn(patient), strict=True):
            name = f"patient{case:03d}_{phase}"
            yield from probes(("acdc", name, "cine"), image, affine)
            yield from probes(("acdc", name, LABEL), label, affine)
            drawn = np.where(strokes == _NOT_ANNOTATED, np.uint8(IGNORE), strokes)
            yield from probes(("acdc", name, "scribble"), drawn, affine)


def _drawn(patient: Patient) -> Iterator[tuple[int, npt.NDArray[np.int16], Codes, Codes]]:
    """Frame number, image, label and strokes at end-diastole and end-systole, axes L, P, S."""
    for systole, frame in enumerate(_frames(patient)):
        image, canvas, slices = render(patient, systole=bool(systole))
        yield frame, np.rint(image).astype(np.int16), canvas.label, _scribble(patient, slices, canvas, frame)


def _frames(patient: Patient) -> tuple[int, int]:
    """Numbers of the ED and the ES frame; ED of every fifth patient is not the first."""
    rng = generator(*patient.key, "frames")
    diastole = 1 if patient.key[1] % 5 else int(rng.integers(2, 5))
    return diastole, diastole + int(rng.integers(7, 13))


def _info(patient: Patient, frames: tuple[int, int]) -> bytes:
    rng = generator(*patient.key, "info")
    lines = [f"ED: {frames[0]}", f"ES: {frames[1]}", f"Group: {patient.group}", f"Height: {rng.uniform(150, 195):.1f}"]
    lines += ["NbFrame: 30", f"Weight: {rng.uniform(50, 110):.1f}", f"Source: {TOKEN}"]
    if patient.key[1] % 4 == 3:  # some files say no more than the frames
        lines = [*lines[:2], lines[-1]]
    return ("\n".join(lines) + "\n").encode()


def _write_nifti(path: Path, array: npt.NDArray[np.generic], spacing: tuple[float, float, float]) -> None:
    """NIfTI as in ACDC: axes L, P, S from a qform at the origin, no sform."""
    import nibabel as nib

    header = nib.Nifti1Header()
    header.set_data_dtype(array.dtype)
    header.set_qform(np.diag([-spacing[0], -spacing[1], spacing[2], 1]), code=1)
    header.set_sform(None, code=0)
    header.set_xyzt_units("mm")
    header["descrip"] = TOKEN.encode()
    path.write_bytes(igzip.compress(nib.Nifti1Image(array, None, header).to_bytes(), 1, mtime=0))


def _scribble(patient: Patient, slices: Slices, canvas: Canvas, frame: int) -> npt.NDArray[np.uint8]:
    """Strokes as an expert draws them: part of a line along the middle of each structure, slice by slice.

    Values: 0 background stroke, 1..3 structures, 4 where nothing was drawn (about 99 % of the voxels).
    """
    rng = generator(*patient.key, "scribble", frame)
    pixel = patient.spacing[0]
    strokes = np.full(canvas.label.shape, _NOT_ANNOTATED, np.uint8)
    hull = np.minimum(slices.outer, slices.right)
    crescent = np.maximum(slices.right, -slices.outer)
    ring = np.where(slices.cavity < 500, slices.outer + slices.cavity, slices.outer - _depth(slices.outer, 0.8))
    off_centre = np.hypot(*canvas.points[:2])
    lines = (
        (np.minimum(hull - rng.uniform(6, 16), off_centre - 30), (0.2, 0.45), slices.around_left, 0),
        (off_centre - rng.uniform(55, 70), (0.05, 0.12), slices.around_left, 0),
        (crescent - _depth(crescent, 0.5), (0.3, 0.6), slices.around_right, RIGHT),
        (ring, (0.3, 0.6), slices.around_left, MUSCLE),
        (slices.cavity - _depth(slices.cavity, 0.6), (0.4, 0.8), slices.around_left, LEFT),
    )
    for distance, share, angle, code in lines:
        drawn = (np.abs(distance) < 0.55 * pixel) & _arc(rng, angle, share)
        strokes[drawn & (canvas.label == code)] = code
    return strokes


def _depth(distance: Field, share: float) -> Field:
    """The level that lies `share` of the way from the edge to the deepest place, for each slice."""
    return np.asarray(share * distance.min(axis=(0, 1), keepdims=True), np.float32)


def _arc(rng: np.random.Generator, angle: Field, share: tuple[float, float]) -> npt.NDArray[np.bool_]:
    """A sector of random place and width in each slice; `share` of the whole turn, least and most."""
    start, width = rng.uniform(0, 2 * np.pi, angle.shape[2]), rng.uniform(*share, angle.shape[2]) * 2 * np.pi
    return np.asarray((angle - start) % (2 * np.pi) < width)
