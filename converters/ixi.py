"""What lies in a folder of IXI: examinations by contrast, the user's label maps for them, the table of persons."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from converters.errors import BenchError
from converters.files import is_junk, natural_key
from converters.spreadsheet import numbers
from converters.supplied import NAME, Declared, declared, nifti_files

CONTRASTS = ("T1", "T2", "PD", "MRA", "DTI")
SITES = ("Guys", "HH", "IOP")
_SITE_OF = {site.lower(): site for site in SITES}
_IMAGE = re.compile(
    r"IXI(?P<person>\d{3})-(?P<site>Guys|HH|IOP)-(?P<scan>\d{4})"
    r"-(?:(?P<contrast>T1|T2|PD|MRA)|(?P<dti>DTI)-(?P<volume>\d\d))\.nii(?:\.gz)?",
    re.IGNORECASE,
)
_MAP = re.compile(
    r"IXI(?P<person>\d{3})(?:-(?:Guys|HH|IOP)-(?P<scan>\d{4}))?(?:-(?P<contrast>T1|T2|PD|MRA|DTI))?(?:[-_. ].*)?",
    re.IGNORECASE,
)
_SEX = {1.0: "M", 2.0: "F"}
_OLDEST = 89  # years; an age above singles people out
_COLUMNS = ("IXI_ID", "SEX_ID (1=m, 2=f)", "AGE")


class Exam(NamedTuple):
    """The images of one contrast of one examination."""

    person: str  # IXI002
    site: str
    name: str  # IXI002-Guys-0828
    volumes: dict[int, list[Path]]  # DTI: 0, 1, 2 ..., the others: 0; with two paths it lies there twice


There = dict[str, dict[str, Exam]]  # contrast -> examination -> its images, in natural order


class Labels(NamedTuple):
    """The user's label maps, as far as they belong to one contrast."""

    told: Declared
    toml: Path
    maps: dict[str, list[Path]]  # examination -> its maps
    warnings: tuple[str, ...]


class Person(NamedTuple):
    """What IXI.xls says, as far as it may leave it, and what it does not say."""

    meta: dict[str, str | float]
    missing: tuple[str, ...]


def exams(raw: Path, labels: Path | None) -> There:
    """Every image in the folder, or up to three folders below; those inside `labels` are none.

    Raises:
        BenchError: `labels` holds the raw folder itself.
    """
    apart = labels.resolve() if labels else None
    if apart and raw.resolve().is_relative_to(apart):
        raise BenchError("the label maps lie among the images", where=labels, mend="move them to a folder of their own")
    found: There = {contrast: {} for contrast in CONTRASTS}
    for path, match in _images(raw, apart):
        site, person = _SITE_OF[match["site"].lower()], f"IXI{match['person']}"
        name = f"{person}-{site}-{match['scan']}"
        contrast = (match["contrast"] or match["dti"]).upper()
        exam = found[contrast].setdefault(name, Exam(person, site, name, {}))
        exam.volumes.setdefault(int(match["volume"] or 0), []).append(path)
    return {
        contrast: dict(sorted(exams.items(), key=lambda item: natural_key(item[0])))
        for contrast, exams in found.items()
        if exams
    }


def _images(raw: Path, labels: Path | None) -> Iterator[tuple[Path, re.Match[str]]]:
    """Every image with what its name says; a folder of that name stands for the images in it."""
    for path in sorted((p for depth in range(4) for p in raw.glob("*/" * depth + "*")), key=natural_key):
        match = _IMAGE.fullmatch(path.name)
        if not match or is_junk(path.relative_to(raw)) or _IMAGE.fullmatch(path.parent.name):
            continue
        if not (labels and path.resolve().is_relative_to(labels)):
            yield from ((image, match) for image in ((nifti_files(path) or [path]) if path.is_dir() else [path]))


def labels(contrast: str, there: There, folder: Path | None) -> Labels | None:
    """The label maps of one contrast, by examination; None where no folder is given.

    Raises:
        BenchError: labels.toml is unsound, or a map could belong to several contrasts.
    """
    if folder is None:
        return None
    told = declared(folder)
    found: dict[str, list[Path]] = {}
    alone, strangers = [], 0
    for path in nifti_files(folder):
        named = _named(path.relative_to(folder))
        if named is None:
            strangers += 1
        elif contrast in _drawn_on(path, named, told, there):
            fits = [name for name in there[contrast] if _fits(name, named)]
            if len(fits) == 1:
                found.setdefault(fits[0], []).append(path)
            else:
                alone.append(f"IXI{named['person']}")
    return Labels(told, folder / NAME, found, tuple(_unmatched(len(there[contrast]), len(found), alone, strangers)))


def _named(path: Path) -> re.Match[str] | None:
    """What the file's name says, else the name of the nearest folder that says anything."""
    return next(filter(None, (_MAP.fullmatch(part) for part in reversed(path.parts))), None)


def _fits(exam: str, named: re.Match[str]) -> bool:
    return exam[3:6] == named["person"] and named["scan"] in (None, exam[-4:])


def _unmatched(exams: int, found: int, alone: Sequence[str], strangers: int) -> Iterator[str]:
    if alone:
        some = ", ".join(alone[:5]) + (" ..." if len(alone) > 5 else "")
        yield f"label maps that fit no image here, or several: {len(alone)} ({some})"
    if strangers:
        yield f"files beside the label maps that name no person of IXI: {strangers}"
    if 0 < found < exams:
        yield f"examinations without a label map: {exams - found} of {exams}"


def _drawn_on(path: Path, named: re.Match[str], told: Declared, there: There) -> set[str]:
    """The contrasts a label map belongs to: what its name says, else labels.toml, else the only one there is."""
    said = [named["contrast"]] if named["contrast"] else told.contrasts
    contrasts = {contrast.upper() for contrast in said} or (set(there) if len(there) == 1 else set())
    if not contrasts or contrasts - set(CONTRASTS):
        raise BenchError(
            f"{path.name}: which contrast was it drawn on? Here are {', '.join(there)}",
            where=path.parent,
            mend=f'add a line to {NAME}: contrasts = ["T1"]',
        )
    return contrasts


def sheet(raw: Path) -> Path | None:
    """IXI.xls, in the folder or up to two below.

    Raises:
        BenchError: there are several, and they differ.
    """
    near = (path for depth in range(3) for path in raw.glob("*/" * depth + "*") if path.name.lower() == "ixi.xls")
    found = sorted((path for path in near if not is_junk(path.relative_to(raw))), key=natural_key)
    if len(found) > 1 and len({path.read_bytes() for path in found}) > 1:
        raise BenchError(f"{len(found)} files IXI.xls that differ", where=found[1], mend="keep the original alone")
    return found[0] if found else None


def persons(sheet: Path) -> dict[int, Person]:
    """Every person of the table, by number.

    Raises:
        BenchError: it is not the table of IXI.
    """
    rows: dict[int, list[dict[str, float | None]]] = {}
    for row in numbers(sheet, "Table", _COLUMNS):
        if (number := row["IXI_ID"]) and number.is_integer():
            rows.setdefault(int(number), []).append(row)
    return {number: _person(those) for number, those in rows.items()}


def _person(rows: Sequence[Mapping[str, float | None]]) -> Person:
    """A field that two rows give differently, or none gives, stays empty and is named."""
    given: dict[str, set[str | float]] = {"sex": set(), "age_years": set()}
    for row in rows:
        _, sex, age = (row[name] for name in _COLUMNS)
        given["sex"] |= {_SEX[sex]} if sex in _SEX else set()
        given["age_years"] |= {float(int(age))} if age and 0 < age < _OLDEST + 1 else set()
    told = {field: values for field, values in given.items() if len(values) == 1}
    missing = [
        f"IXI.xls gives two values of {field}" if values else f"IXI.xls gives no {field}"
        for field, values in given.items()
        if field not in told
    ]
    return Person({field: next(iter(values)) for field, values in told.items()}, tuple(missing))
