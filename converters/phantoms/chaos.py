"""Made-up patients in the native layout of CHAOS: DICOM series and label PNGs, with the traps of the real set."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from converters.phantoms.abdomen import Grid, render_ct, render_t1, render_t2
from converters.phantoms.body import Person
from converters.phantoms.scan import Field
from converters.phantoms.series import Series, write_labels, write_series
from converters.phantoms.truth import LABEL, Probe, probes

# Numbers of the labelled MR patients of the real set; further people get odd numbers from 41.
_MR_IDS = (1, 2, 3, 5, 8, 10, 13, 15, 19, 20, 21, 22, 31, 32, 33, 34, 36, 37, 38, 39)
_CT_IDS = (2, 5)  # also numbers of MR patients, who are other people
_CT_ZERO = 1000  # stored value of 0 HU
_GREYS = np.array([0, 63, 126, 189, 252], np.uint8)  # background, liver, right kidney, left kidney, spleen


@dataclasses.dataclass(frozen=True)
class Quirks:
    """What differs from patient to patient in the real set; None: as it comes, some this way and some that."""

    shared_series: bool | None = None  # both T1 phases under one SeriesInstanceUID
    descending: bool | None = None  # MR file names run from head to foot
    tilted: bool | None = None  # the T2 stack leans by a few degrees
    ct_names: Literal["i", "IMG"] | None = None  # i0012,0000b.dcm or IMG-0004-00013.dcm


NATURAL = Quirks()


@dataclasses.dataclass(frozen=True)
class _Study:
    """One examination as it was drawn, before any file exists."""

    series: Series  # of all its files, but for names and tags
    channels: Mapping[str, npt.NDArray[np.uint16]]  # as the files hold them
    label: npt.NDArray[np.uint8]
    rng: np.random.Generator  # for what is left to choose


def write(out: Path, cases: int, seed: int, quirks: Quirks = NATURAL) -> None:
    """Write `cases` MR patients, and up to two CT patients beside them, below `out/Train_Sets`.

    MR: T1 in and out of phase on one grid with one set of labels, T2 on another grid. CT: labels of the liver alone,
    files named from head to foot, tags (SliceThickness, SliceLocation, ProtocolName) that mislead.
    The first patients are the same however many are asked for.
    """
    root = out / "Train_Sets"
    for number, person in _people("MR", cases, seed):
        _write_t1(root / "MR" / str(number) / "T1DUAL", _t1(number, person, quirks), quirks)
        _write_t2(root / "MR" / str(number) / "T2SPIR", _t2(number, person, quirks))
    for number, person in _people("CT", cases, seed):
        kind = quirks.ct_names or ("i" if person.key[2] % 2 == 0 else "IMG")
        _write_ct(root / "CT" / str(number), _ct(number, person), kind)


def truth(cases: int, seed: int, quirks: Quirks = NATURAL) -> Iterator[Probe]:
    """What a conversion of the same patients must hold."""
    for number, person in _people("MR", cases, seed):
        yield from _probes("chaos-mr-t1", f"mr-{number}", _t1(number, person, quirks))
        yield from _probes("chaos-mr-t2", f"mr-{number}", _t2(number, person, quirks))
    for number, person in _people("CT", cases, seed):
        yield from _probes("chaos-ct", f"ct-{number}", _ct(number, person), _CT_ZERO)


def _probes(dataset: str, name: str, study: _Study, zero: int = 0) -> Iterator[Probe]:
    affine = study.series.affine
    for channel, stored in study.channels.items():
        yield from probes((dataset, name, channel), stored.astype(np.int16) - np.int16(zero), affine)
    yield from probes((dataset, name, LABEL), study.label, affine)


def _people(modality: str, cases: int, seed: int) -> Iterator[tuple[int, Person]]:
    """Number of the folder, and who lies there; half as many people have a CT, and no more than two."""
    if modality == "CT":
        numbers = list(_CT_IDS[: cases // 2])
    else:
        numbers = [*_MR_IDS, *range(41, 41 + 2 * max(0, cases - len(_MR_IDS)), 2)][:cases]
    for case, number in enumerate(numbers):
        yield number, Person.draw(seed, modality, case)


def _t1(number: int, person: Person, quirks: Quirks) -> _Study:
    rng = person.rng("T1")
    grid = _grid(person, rng, (5.5, 6.0, 6.5))
    series = _series(number, person, rng, grid)
    series = dataclasses.replace(series, descending=_choose(quirks.descending, rng))
    inphase, outphase, label = render_t1(person, grid)
    return _Study(series, {"in-phase": _stored(inphase), "out-phase": _stored(outphase)}, label, rng)


def _t2(number: int, person: Person, quirks: Quirks) -> _Study:
    rng = person.rng("T2")
    grid = _grid(person, rng, (6.0, 6.5, 7.0))
    tilt = round(float(rng.uniform(1, 4)), 2) if _choose(quirks.tilted, rng) else 0.0
    grid = dataclasses.replace(grid, tilt=tilt)
    series = _series(number, person, rng, grid)
    tags = _mr_tags(grid, "SE", 70.0, 1600.0)
    series = dataclasses.replace(series, name="T2SPIR", descending=_choose(quirks.descending, rng), tags=tags)
    image, label = render_t2(person, grid)
    return _Study(series, {"t2": _stored(image)}, label, rng)


def _ct(number: int, person: Person) -> _Study:
    rng = person.rng("CT")
    grid = _grid(person, rng, (5.5,))
    tags = {
        "ProtocolName": "T2SPIR",  # as in the real set: it says nothing about the modality
        "SliceThickness": "3.2",
        "KVP": "120",
        "ConvolutionKernel": "B",
        "RescaleIntercept": str(-_CT_ZERO),
        "RescaleSlope": "1",
        "WindowCenter": [50, 50],
        "WindowWidth": [400, 400],
    }
    series = _series(number, person, rng, grid)
    middle = (*series.middle[:2], series.middle[2] + 1700)
    series = dataclasses.replace(series, name="CT", middle=middle, descending=True, tags=tags)
    image, label = render_ct(person, grid)
    return _Study(series, {"ct": _stored(image + _CT_ZERO)}, label, rng)


def _write_t1(folder: Path, study: _Study, quirks: Quirks) -> None:
    shared = _choose(quirks.shared_series, study.rng)
    grid = study.series.grid
    ranks = range(grid.shape[2])
    stem = f"IMG-{study.rng.integers(2, 12):04d}"
    # The scanner stores both phases in turns: out-of-phase 1, 3, 5 ..., in-phase and its labels 2, 4, 6 ...
    for phase, channel, echo, first in (("OutPhase", "out-phase", 2.3, 1), ("InPhase", "in-phase", 4.6, 2)):
        tags = _mr_tags(grid, "GR", echo, 110.0)
        series = dataclasses.replace(study.series, name="T1DUAL" if shared else phase, tags=tags)
        names = [f"{stem}-{2 * rank + first:05d}.dcm" for rank in ranks]
        write_series(folder / "DICOM_anon" / phase, series, study.channels[channel], names)
    names = [f"{stem}-{2 * rank + 2:05d}.png" for rank in ranks]
    write_labels(folder / "Ground", _GREYS[study.label], study.series, names)


def _write_t2(folder: Path, study: _Study) -> None:
    number = study.rng.integers(2, 12)
    stems = [f"IMG-{number:04d}-{rank + 1:05d}" for rank in range(study.label.shape[2])]
    write_series(folder / "DICOM_anon", study.series, study.channels["t2"], [f"{stem}.dcm" for stem in stems])
    write_labels(folder / "Ground", _GREYS[study.label], study.series, [f"{stem}.png" for stem in stems])


def _write_ct(folder: Path, study: _Study, kind: str) -> None:
    ranks = range(study.label.shape[2])
    # The second kind counts from 1 where its labels count from 0.
    names = [f"i{rank:04d},0000b.dcm" if kind == "i" else f"IMG-0004-{rank + 1:05d}.dcm" for rank in ranks]
    write_series(folder / "DICOM_anon", study.series, study.channels["ct"], names)
    write_labels(folder / "Ground", study.label > 0, study.series, [f"liver_GT_{rank:03d}.png" for rank in ranks])


def _series(number: int, person: Person, rng: np.random.Generator, grid: Grid) -> Series:
    """A series of this person with the table somewhere, to be completed."""
    seed, modality, case = person.key
    x, y, z = (round(float(value), 2) for value in rng.uniform((-25, -25, -180), (25, 25, 60)))
    patient = f"CHAOS^{modality}_SET_{number}"
    return Series(patient, f"{seed} {modality} {case}", "", modality, grid, (x, y, z), descending=False, tags={})


def _mr_tags(grid: Grid, sequence: str, echo: float, repetition: float) -> dict[str, object]:
    return {
        "ImageType": ["ORIGINAL", "PRIMARY", "M_FFE" if sequence == "GR" else "M_SE", "M"],
        "ScanningSequence": sequence,
        "SequenceVariant": "SK",
        "MRAcquisitionType": "2D",
        "MagneticFieldStrength": "1.5",
        "ProtocolName": "T1 DUAL" if sequence == "GR" else "T2 SPIR",
        "EchoTime": f"{echo}",
        "RepetitionTime": f"{repetition}",
        "SliceThickness": f"{0.8 * grid.spacing[2]:.1f}",  # the rest is a gap: the positions alone give the step
        "BitsStored": 12,
        "HighBit": 11,
    }


def _grid(person: Person, rng: np.random.Generator, steps: tuple[float, ...]) -> Grid:
    """A grid that holds the trunk of this person, which does not lie quite in its middle."""
    columns = int(rng.choice([112, 116, 120, 124, 128]))
    spacing = round(2.14 * person.width * float(rng.uniform(1.0, 1.1)) / columns, 4)
    rows = 2 * round(1.2 * person.depth * float(rng.uniform(1.0, 1.1)) / spacing)
    step = float(rng.choice(steps))
    slices = round(88 / step)
    lengths = np.multiply((columns - 1, rows - 1, slices - 1), (spacing, spacing, step))
    x, y, z = (round(float(v), 3) for v in rng.normal(0, (4, 4, 3)) - lengths / 2)
    return Grid((columns, rows, slices), (spacing, spacing, step), (x, y, z))


def _stored(image: Field) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(image), 0, 4095).astype(np.uint16)


def _choose(asked: bool | None, rng: np.random.Generator) -> bool:
    drawn = bool(rng.random() < 0.5)  # drawn in any case: what follows must not depend on the answer
    return drawn if asked is None else asked
