"""Every page that is made of committed records: what it should hold, writing it, and where it differs."""

import difflib
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

from converters.errors import BenchError
from converters.files import safe_id, write_bytes
from leaderboards import clinical, columns, export, readme, render, tolerances
from leaderboards.collect import load
from leaderboards.record import Record
from leaderboards.table import Row, rows

FOLDER = "pages"
GATE = "gate"  # the page of tolerances
ENDINGS = (".csv", ".json", ".md", ".tex")
COMMAND = "bench table --write leaderboards/"


def build(leaderboards: Path) -> tuple[dict[Path, str], list[str]]:
    """File -> text for every page of `leaderboards/results`, the README beside the folder included; and problems.

    A pure function of the records, the verifications beside them and the README's own words.

    Raises:
        BenchError: there is no record, a dataset's name cannot name a file, or a README block has no record.
    """
    found = load([leaderboards / "results"])
    made, left_out = rows(found.records, found.verified)
    if not made:
        raise BenchError("no record to make pages of", where=leaderboards / "results", mend="commit records there")
    pages = {}
    for dataset, members in groupby(made, lambda row: row.section.dataset):
        for ending, text in _texts(list(members), found.records).items():
            pages[leaderboards / FOLDER / f"{_file(dataset)}{ending}"] = text
    pages[leaderboards / FOLDER / f"{GATE}.md"] = tolerances.page(
        tolerances.tolerances(found.records, found.verified)[0]
    )
    pages |= _readme(_above(leaderboards) / "README.md", made)
    return pages, [*found.problems, *left_out]


def _above(folder: Path) -> Path:
    # Relative where it can be: a diff should not say where somebody's checkout lies.
    return folder.parent if folder.name not in {"", ".."} else folder.resolve().parent


def _file(dataset: str) -> str:
    if dataset == GATE:
        raise BenchError(f"'{GATE}' is the page of the gate", mend="call the dataset something else")
    if safe_id(dataset) != dataset:
        raise BenchError(f"'{dataset}' cannot name a page", mend=f"call the dataset {safe_id(dataset)}")
    return dataset


def _texts(made: list[Row], records: Iterable[Record]) -> dict[str, str]:
    measured = clinical.measure(made, records)
    tables = [*columns.tables(made), *clinical.tables(made, measured)]
    dataset = made[0].section.dataset
    return {
        ".md": "\n".join([f"# {dataset}\n\nMade by `{COMMAND}`; never edited.\n", *map(render.markdown, tables)]),
        ".tex": "\n".join([f"% {dataset}: made by `{COMMAND}`, never edited.\n", *map(render.latex, tables)]),
        ".csv": export.csv_text(made, measured),
        ".json": export.json_text(made, measured),
    }


def _readme(path: Path, made: list[Row]) -> dict[Path, str]:
    if not path.is_file() or not readme.MARKER.search(text := path.read_text(encoding="utf-8")):
        return {}
    return {path: readme.fill(text, made)}


def write(leaderboards: Path, pages: Mapping[Path, str]) -> list[Path]:
    """Write every page and remove those nobody makes any more; the files that changed."""
    changed = [path for path, text in pages.items() if _found(path) != text]
    for path in changed:
        write_bytes(path, pages[path].encode())
    for path in (stale := _stale(leaderboards, pages)):
        path.unlink()
    return [*changed, *stale]


def differences(leaderboards: Path, pages: Mapping[Path, str]) -> list[str]:
    """A unified diff for every file that is not what the records give; empty when all are."""
    told = [difference(path, text) for path, text in pages.items()]
    return [text for text in told if text] + [
        f"{path}: no record makes this page" for path in _stale(leaderboards, pages)
    ]


def difference(path: Path, text: str) -> str:
    """A unified diff from what a file holds to a text; empty when they are the same."""
    found = _found(path)
    if found == text:
        return ""
    lines = difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "from the records", lineterm="", n=0)
    # Line ends are no line: two texts may differ in nothing else.
    return "\n".join(lines) or f"{path}: other line ends"


def _found(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def _stale(leaderboards: Path, pages: Mapping[Path, str]) -> list[Path]:
    folder = leaderboards / FOLDER
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in present if path.suffix in ENDINGS and path not in pages]
