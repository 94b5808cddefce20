"""Made-up persons in the native layout of IXI: five contrasts on grids of their own, IXI.xls with its traps."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from isal import igzip

from converters.phantoms import head
from converters.phantoms.head import Head
from converters.phantoms.mark import TOKEN
from converters.phantoms.scan import generator, rician
from converters.phantoms.sheet import workbook
from converters.phantoms.truth import LABEL, Probe, probes

_CONTRASTS = ("T1", "T2", "PD", "MRA", "DTI")
_SITES = ("Guys", "HH", "Guys", "IOP", "HH", "Guys")  # and over again
_LISTED = 660  # persons in IXI.xls, whoever was imaged
_VOLUMES = 17  # of DTI; none at IOP
_HEADER = (
    *("IXI_ID", "SEX_ID (1=m, 2=f)", "HEIGHT", "WEIGHT", "ETHNIC_ID", "MARITAL_ID", "OCCUPATION_ID"),
    *("QUALIFICATION_ID", "DOB", "DATE_AVAILABLE", "STUDY_DATE", "AGE"),
)
# By tissue of head.py: air, skin, bone, fluid, then grey and white of both sides, ventricles, capsule.
_SIGNALS = {
    "T1": (4, 420, 60, 110, 260, 380, 260, 380, 100, 100, 600),
    "T2": (4, 200, 40, 700, 330, 240, 330, 240, 720, 720, 500),
    "PD": (4, 240, 60, 480, 440, 380, 440, 380, 470, 470, 520),
    "MRA": (3, 90, 30, 40, 110, 100, 110, 100, 60, 60, 400),
    "DTI": (3, 60, 20, 520, 220, 180, 220, 180, 540, 540, 300),
}
# The values of FreeSurfer: 2 and 41 white, 3 and 42 grey, 4 and 43 ventricles, 24 fluid, left and right.
_DERIVED = np.array([0, 0, 0, 24, 3, 2, 42, 41, 4, 43, 0], np.int16)
_LABELS_TOML = f"""generator = "{TOKEN}"
background = [0, 24]

[labels]
"grey matter" = [3, 42]
"white matter" = [2, 41]
"ventricles" = [4, 43]
"""
_CODES = np.array([0, 0, 0, 0, 1, 2, 1, 2, 3, 3, 0], np.uint8)  # the same after a conversion


@dataclasses.dataclass(frozen=True)
class Quirks:
    """The traps of the real set. Of those with None, some persons are this way and some that."""

    layout: Literal["folders", "flat", "kaggle"] = "folders"  # IXI-T1/..., all in one, a folder for each .nii
    contrasts: tuple[str, ...] = _CONTRASTS
    sheet: bool = True  # there is an IXI.xls
    duplicates: bool | None = None  # a person has a second row, of zeros
    conflict: bool | None = None  # a second row gives another sex and age
    no_row: bool | None = None
    no_age: bool | None = None
    truncated: bool = False  # the first person's first image is cut in half
    short_dti: bool = False  # the first person has a volume less
    labels: bool = True  # label maps of T1 as a program would draw them, in labels/
    signal: bool = False  # sex and age change the head, see `Head.of`, and edges are mixtures: something to learn


NATURAL = Quirks()


class Person(NamedTuple):
    """Who it is, as IXI.xls knows it."""

    number: int
    name: str  # IXI002-Guys-0828
    sex: float
    age: float
    birth: str

    @classmethod
    def draw(cls, seed: int, number: int) -> "Person":
        """The person of that seed and number."""
        rng = generator(seed, "person", number)
        site, age = _SITES[number % len(_SITES)], float(rng.uniform(20, 86))
        birth = f"{2006 - int(age)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
        return cls(
            number, f"IXI{number:03d}-{site}-{(number * 37 + 400) % 10000:04d}", float(rng.integers(1, 3)), age, birth
        )


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` persons below `out`; in the default layout `IXI-T1/`, `IXI-T2/` ..., `IXI.xls` and `labels/`.

    The first persons are the same however many are asked for; IXI.xls lists many more.
    """
    for person in _people(cases, seed):
        for contrast, volume, array, affine in _images(person, seed, quirks):
            stem = f"{person.name}-{contrast}" + (f"-{volume:02d}" if contrast == "DTI" else "")
            cut = quirks.truncated and person.number == 1 and (contrast, volume) == (quirks.contrasts[0], 0)
            _write(_place(out, contrast, stem, quirks), array.astype(np.int16), affine, cut=cut)
        if quirks.labels and "T1" in quirks.contrasts:
            tissues, affine = _scan(person, seed, "T1", quirks)
            _write(out / "labels" / f"{person.name}-T1_synthseg.nii.gz", _DERIVED[tissues], affine)
    if quirks.labels:
        (out / "labels").mkdir(parents=True, exist_ok=True)
        (out / "labels" / "labels.toml").write_text(_LABELS_TOML, encoding="utf-8")
    if quirks.sheet:
        listed = (Person.draw(seed, number) for number in range(1, max(cases, _LISTED) + 1))
        rows = [row for person in listed for row in _rows(person, quirks)]
        (out / "IXI.xls").write_bytes(workbook("Table", [_HEADER, *rows]))


def truth(cases: int, seed: int, *, labels: bool = False) -> Iterator[Probe]:
    """Voxels of all contrasts, and of the label maps where they were given with --labels."""
    for person in _people(cases, seed):
        for contrast, volume, array, affine in _images(person, seed, NATURAL):
            channel = f"dti-{volume:02d}" if contrast == "DTI" else contrast.lower()
            yield from probes((f"ixi-{contrast.lower()}", person.name, channel), array, affine)
        if labels:
            tissues, affine = _scan(person, seed, "T1", NATURAL)
            yield from probes(("ixi-t1", person.name, LABEL), _CODES[tissues], affine)


def _people(cases: int, seed: int) -> Iterator[Person]:
    if cases > 999:
        raise ValueError(f"{cases} persons; the names of IXI have three digits")
    return (Person.draw(seed, number) for number in range(1, cases + 1))


Image = tuple[str, int, npt.NDArray[np.int16], npt.NDArray[np.float64]]  # contrast, volume, voxels, affine


def _images(person: Person, seed: int, quirks: Quirks) -> Iterator[Image]:
    for contrast in quirks.contrasts:
        if contrast == "DTI" and "-IOP-" in person.name:
            continue
        clean, affine = _clean(person, seed, contrast, quirks)
        short = quirks.short_dti and person.number == 1
        for volume in range((_VOLUMES - short) if contrast == "DTI" else 1):
            rng = generator(seed, "noise", person.number, contrast, volume)
            weighted = clean * np.float32(0.5 + 0.04 * volume if volume else 1)
            yield contrast, volume, np.rint(rician(rng, weighted, 6.0)).astype(np.int16), affine


def _scan(
    person: Person, seed: int, contrast: str, quirks: Quirks, fine: int = 1
) -> tuple[head.Codes, npt.NDArray[np.float64]]:
    """The tissues on the grid of a contrast, each voxel cut `fine` times along each axis, and the affine of the grid.

    T1 is sagittal and turned by up to 7.7 degrees.
    """
    shape, affine = _grid(
        generator(seed, "grid", person.number, "axial" if contrast in ("T2", "PD") else contrast), contrast
    )
    drawn = Head.draw(seed, person.number)
    drawn = drawn.of(person.sex == 1, person.age) if quirks.signal else drawn
    cut = affine.copy()
    cut[:3, :3] /= fine
    cut[:3, 3] -= (affine[:3, :3] - cut[:3, :3]).sum(1) / 2  # the same corner
    return drawn.tissues((shape[0] * fine, shape[1] * fine, shape[2] * fine), cut), affine


def _clean(
    person: Person, seed: int, contrast: str, quirks: Quirks
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Voxels without noise and the affine; with a signal in them, means of eight parts of each voxel."""
    fine = 2 if quirks.signal else 1
    tissues, affine = _scan(person, seed, contrast, quirks, fine)
    x, y, z = (n // fine for n in tissues.shape)
    parts = np.array(_SIGNALS[contrast], np.float32)[tissues].reshape(x, fine, y, fine, z, fine)
    return parts.mean((1, 3, 5)), affine


def _grid(rng: np.random.Generator, contrast: str) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    shape, spacing, axes = {
        "T1": ((24, 24, 16), (9.4, 9.4, 10.5), ((0, -1, 0), (0, 0, 1), (1, 0, 0))),
        "MRA": ((20, 20, 12), (9.0, 9.0, 6.0), ((-1, 0, 0), (0, -1, 0), (0, 0, 1))),
        "DTI": ((16, 16, 10), (14.0, 14.0, 17.0), ((-1, 0, 0), (0, 1, 0), (0, 0, 1))),
    }.get(contrast, ((24, 22, 18), (9.4, 10.2, 11.0), ((-1, 0, 0), (0, 1, 0), (0, 0, 1))))
    affine = np.eye(4)
    lean = _turn(rng.normal(size=3), float(rng.uniform(1.0, 7.7)) if contrast == "T1" else float(rng.uniform(0, 3)))
    affine[:3, :3] = lean @ np.array(axes, float).T * spacing
    affine[:3, 3] = rng.uniform(-5, 5, 3) - affine[:3, :3] @ (np.array(shape) - 1) / 2
    return shape, affine.astype(np.float32).astype(np.float64)


def _turn(axis: npt.NDArray[np.float64], degrees: float) -> npt.NDArray[np.float64]:
    """Rotation (3, 3) about an axis, by Rodrigues' formula."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(
        np.eye(3) + np.sin(np.radians(degrees)) * cross + (1 - np.cos(np.radians(degrees))) * cross @ cross
    )


def _place(out: Path, contrast: str, stem: str, quirks: Quirks) -> Path:
    if quirks.layout == "flat":
        return out / f"{stem}.nii.gz"
    folder = out / f"IXI-{contrast}"
    return folder / f"{stem}.nii" / f"{stem}.nii" if quirks.layout == "kaggle" else folder / f"{stem}.nii.gz"


def _write(path: Path, array: npt.NDArray[np.int16], affine: npt.NDArray[np.float64], *, cut: bool = False) -> None:
    import nibabel as nib

    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm", "sec")
    image.header["descrip"] = TOKEN.encode()
    data = image.to_bytes()
    packed = igzip.compress(data, 1, mtime=0) if path.suffix == ".gz" else data
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed[: len(packed) // 2] if cut else packed)


def _rows(person: Person, quirks: Quirks) -> Iterator[tuple[str | float | None, ...]]:
    """The rows of a person in IXI.xls: none, one or two."""
    rng = generator(0, "row", person.number)
    number = float(person.number)
    if _is(quirks.no_row, person.number % 40 == 3):
        return
    aged = not _is(quirks.no_age, person.number % 20 == 5)
    study, age = (38500 + float(rng.integers(0, 500)), person.age) if aged else (None, None)
    body = [float(rng.integers(150, 195)), float(rng.integers(50, 110)), *(float(rng.integers(1, 6)) for _ in range(4))]
    yield (number, person.sex, *body, person.birth, float(aged), study, age)
    zeros = (0.0,) * 6
    if _is(quirks.duplicates, person.number % 25 == 4):
        yield (number, person.sex, *zeros, person.birth, float(aged), study, age)
    if _is(quirks.conflict, person.number % 50 == 2):
        yield (number, 3.0 - person.sex, *zeros, person.birth, 1.0, study, person.age + 3)


def _is(asked: bool | None, natural: bool) -> bool:
    return natural if asked is None else asked
