"""What lies in a folder of JSRT: films, the masks of each structure, the clinical texts."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from converters.description import LabelInfo
from converters.errors import BenchError
from converters.files import is_junk, natural_key, read

STRUCTURES = {
    "heart": LabelInfo(source_values=(255,), snomed="80891009", colour="#d55e00"),
    "left lung": LabelInfo(source_values=(255,), snomed="44029006", colour="#56b4e9"),
    "right lung": LabelInfo(source_values=(255,), snomed="3341006", colour="#0072b2"),
    "left clavicle": LabelInfo(source_values=(255,), colour="#e69f00"),
    "right clavicle": LabelInfo(source_values=(255,), colour="#f0e442"),
}
OTHERS = (".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".dcm")  # of films: found, and refused one by one
_NAME = re.compile(r"JPC(LN|NN)(\d{3})", re.IGNORECASE)
_CLINICAL = re.compile(r"C[LN]NDAT_EN\.txt", re.IGNORECASE)
_SEX = {"male": "M", "female": "F"}
_OLDEST = 89  # years; an older age tells too much


def _files(raw: Path) -> Iterator[Path]:
    for path in sorted(raw.rglob("*"), key=natural_key):
        if path.is_file() and not is_junk(path.relative_to(raw)):
            yield path


def find_films(raw: Path) -> dict[str, Path]:
    """Film -> file: the original where there is one, else its copy, else what conversion will refuse.

    Raises:
        BenchError: one film lies there twice.
    """
    films = [path for path in _files(raw) if _NAME.fullmatch(path.stem) and _structure(path) is None]
    found: dict[str, Path] = {}
    for path in (path for path in films if path.suffix.lower() == ".img"):
        _once(found, path)
    for kinds in ((".png",), OTHERS):
        before = set(found)
        for path in (path for path in films if path.suffix.lower() in kinds and path.stem.upper() not in before):
            _once(found, path)
    return {name: found[name] for name in sorted(found, key=natural_key)}


def find_masks(raw: Path) -> dict[str, dict[str, Path]]:
    """Structure -> film -> mask.

    Raises:
        BenchError: one mask lies there twice.
    """
    found: dict[str, dict[str, Path]] = {structure: {} for structure in STRUCTURES}
    for path in _files(raw):
        structure = _structure(path)
        if structure and path.suffix.lower() in (".gif", ".png") and _NAME.fullmatch(path.stem):
            _once(found[structure], path)
    return found


def _structure(path: Path) -> str | None:
    name = path.parent.name.lower().replace("_", " ")
    return name if name in STRUCTURES else None


def _once(found: dict[str, Path], path: Path) -> None:
    name = path.stem.upper()
    if name in found:
        raise BenchError(f"{path.name} lies there twice", where=path, mend=f"keep one: {found[name]}")
    found[name] = path


def read_clinical(raw: Path) -> dict[str, tuple[Mapping[str, str | float], tuple[Path, ...]]]:
    """Film -> what is known of it, and the text that says so."""
    found: dict[str, tuple[Mapping[str, str | float], tuple[Path, ...]]] = {}
    for path in _files(raw):
        if _CLINICAL.fullmatch(path.name):
            for line in read(path).decode("latin-1").splitlines():
                fields = [field.strip() for field in (line.split("\t") if "\t" in line else line.split())]
                name = fields[0].upper().removesuffix(".IMG") if fields else ""
                if _NAME.fullmatch(name):
                    found.setdefault(name, (dict(_facts(name, fields)), (path,)))
    return found


def _facts(name: str, fields: list[str]) -> Iterable[tuple[str, str | float]]:
    """The columns of the allow-list, where they hold what they should: location and diagnosis are free text."""
    nodule = name.startswith("JPCLN")
    age, sex = (*fields, *5 * ("",))[3:5] if nodule else (*fields, *3 * ("",))[1:3]
    if age.isdecimal() and 0 < int(age) <= _OLDEST:
        yield "age_years", float(age)
    if sex.lower() in _SEX:
        yield "sex", _SEX[sex.lower()]
    if nodule:
        _, subtlety, size, *_, kind = (*fields, *8 * ("",))[:8]
        if subtlety in ("1", "2", "3", "4", "5"):
            yield "subtlety", float(subtlety)
        if size.isdecimal() and 0 < int(size) <= 100:
            yield "nodule_mm", float(size)
        if kind.lower() in ("malignant", "benign"):
            yield "nodule_kind", kind.lower()
