"""Every page that is made of committed records: what it should hold, writing it, and where it differs."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from converters.errors import BenchError
from converters.files import safe_id, write_bytes
from leaderboards import clinical, columns, export, planned, readme, render, tolerances
from leaderboards.collect import load
from leaderboards.site import efficiency
from leaderboards.site.content import Content, Extras
from leaderboards.site.figures import save
from leaderboards.summary import ranked
from leaderboards.table import Row

FOLDER = "pages"
GATE = "gate"  # the page of tolerances
BUDGET = "budget"  # ends the names of figures
ENDINGS = (".csv", ".json", ".md", ".svg", ".tex")
COMMAND = "bench table --write leaderboards/"
_SAID = re.compile(r"<dc:description>(.*?)</dc:description>", re.DOTALL)


def build(leaderboards: Path) -> tuple[dict[Path, str], list[str]]:
    """File -> text for every page of `leaderboards/results`, the README beside the folder included; and problems.

    A pure function of the records, the verifications beside them and the README's own words.

    Raises:
        BenchError: there is no record, a dataset's name cannot name a file, or a README block has no record.
    """
    found = load([leaderboards / "results"])
    content = Content(found, Extras(planned=planned.load(leaderboards / "results")))
    if not content.rows:
        raise BenchError("no record to make pages of", where=leaderboards / "results", mend="commit records there")
    pages = {}
    for dataset in content.datasets:
        for ending, text in _texts(content, dataset).items():
            pages[leaderboards / FOLDER / f"{_file(dataset)}{ending}"] = text
    pages[leaderboards / FOLDER / f"{GATE}.md"] = tolerances.page(
        tolerances.tolerances(found.records, found.verified)[0]
    )
    pages |= _readme(_above(leaderboards) / "README.md", content.rows)
    return pages, content.problems


def _above(folder: Path) -> Path:
    # Relative where it can be: a diff should not say where somebody's checkout lies.
    return folder.parent if folder.name not in {"", ".."} else folder.resolve().parent


def _file(dataset: str) -> str:
    if dataset == GATE:
        raise BenchError(f"'{GATE}' is the page of the gate", mend="call the dataset something else")
    if safe_id(dataset) != dataset:
        raise BenchError(f"'{dataset}' cannot name a page", mend=f"call the dataset {safe_id(dataset)}")
    return dataset


def _texts(content: Content, dataset: str) -> dict[str, str]:
    made = content.of(dataset)
    measured = clinical.measure(made, content.records.values())
    tables = [*columns.tables(made), *clinical.tables(made, measured)]
    figures = {f"-{BUDGET}{number}.svg": svg for number, svg in _figures(content, made)}
    head = f"# {dataset}\n\nMade by `{COMMAND}`; never edited.\n"
    shown = [f"![score against annotation budget]({dataset}{ending})\n" for ending in figures]
    return {
        ".md": "\n".join([head, *shown, *map(render.markdown, [*tables, *content.planned(dataset)])]),
        ".tex": "\n".join([f"% {dataset}: made by `{COMMAND}`, never edited.\n", *map(render.latex, tables)]),
        ".csv": export.csv_text(made, measured),
        ".json": export.json_text(made, measured),
    } | figures


def _figures(content: Content, made: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Number and SVG of the score against the budget, for every table that has two budgets of a kind of labels."""
    for number, members in enumerate(columns.by_table(made)):
        for definition in ranked(members[0].macro)[:1]:
            if drawn := efficiency.budgets(content.groups(members), definition):
                title = columns.table_title(members[0].section)
                yield f"-{number}" if number else "", save(drawn, title).svg.decode()


def _readme(path: Path, made: Sequence[Row]) -> dict[Path, str]:
    if not path.is_file() or not readme.MARKER.search(text := path.read_text(encoding="utf-8")):
        return {}
    return {path: readme.fill(text, made)}


def write(leaderboards: Path, pages: Mapping[Path, str]) -> list[Path]:
    """Write every page and remove those nobody makes any more; the files that changed."""
    changed = [path for path, text in pages.items() if difference(path, text)]
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
    found, text = _compared(path, _found(path)), _compared(path, text)
    if found == text:
        return ""
    lines = difflib.unified_diff(found.splitlines(), text.splitlines(), str(path), "from the records", lineterm="", n=0)
    # Line ends are no line: two texts may differ in nothing else.
    return "\n".join(lines) or f"{path}: other line ends"


def _compared(path: Path, text: str) -> str:
    """What must agree: of a figure what it says in words, because other versions of matplotlib draw other lines."""
    if path.suffix != ".svg":
        return text
    said = _SAID.search(text)
    return said[1] if said else ""


def _found(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""


def _stale(leaderboards: Path, pages: Mapping[Path, str]) -> list[Path]:
    folder = leaderboards / FOLDER
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in present if path.suffix in ENDINGS and path not in pages]
