"""What the pages of a site are made of: rows and groups by dataset and protocol, and where each page lies."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from converters.errors import BenchError
from converters.files import natural_key, safe_id, sha256
from leaderboards import planned
from leaderboards.collect import Collected
from leaderboards.columns import Table
from leaderboards.planned import Sweep
from leaderboards.record import Record
from leaderboards.site.logs import Log
from leaderboards.table import Group, Row, groups, rows

_TAKEN = {"assets", "index", "runs"}  # what the site itself calls its files and folders
_HASHED = "x-"
_SHORT = 12  # characters of a record id in a file name


class Picture(NamedTuple):
    """A test case of a run with the contours of reference and prediction."""

    rank: str  # worst, median, best
    case: str
    dice: float  # mean over labels
    png: bytes


class Extras(NamedTuple):
    """What lies beside records; logs and pictures by record id."""

    logs: Mapping[str, Log] = {}
    pictures: Mapping[str, Sequence[Picture]] = {}
    planned: Sequence[Sweep] = ()  # of all datasets


class Content:
    """Records, the rows they make, and the paths of their pages. Paths are relative to the site."""

    def __init__(self, found: Collected, extras: Extras) -> None:
        self.records = {record.id(): record for record in found.records}
        self.verified = found.verified
        self.extras = extras
        self.rows, left_out = rows(found.records, found.verified)
        self.problems = [*found.problems, *left_out]
        made, _ = groups(found.records, found.verified)
        by_runs = {tuple(sorted(record.id() for record in group.records)): group for group in made}
        self._groups = {row.runs: by_runs[row.runs] for row in self.rows}

    def groups(self, members: Sequence[Row]) -> list[Group]:
        """The groups that rows were made of, in the same order."""
        return [self._groups[row.runs] for row in members]

    def runs(self, row: Row) -> list[Record]:
        """The records of a row, by seed and draw."""
        return list(self._groups[row.runs].records)

    @functools.cached_property
    def shown(self) -> set[str]:
        """The records that stand in a row."""
        return {run for row in self.rows for run in row.runs}

    def lone(self) -> list[str]:
        """The records that stand in no row."""
        return sorted(set(self.records) - self.shown)

    @functools.cached_property
    def datasets(self) -> dict[str, dict[str, list[Row]]]:
        """Dataset -> protocol -> rows in the order of the tables; semi5 before semi10."""
        found: dict[str, dict[str, list[Row]]] = {row.section.dataset: {} for row in self.rows}
        for row in sorted(self.rows, key=lambda row: natural_key(row.section.protocol)):
            found[row.section.dataset].setdefault(row.section.protocol, []).append(row)
        return found

    def of(self, dataset: str) -> list[Row]:
        """The rows of a dataset, in the order of the tables."""
        return [row for row in self.rows if row.section.dataset == dataset]

    def planned(self, dataset: str) -> list[Table]:
        """What is planned for a dataset and not run yet."""
        return planned.tables(self.extras.planned, self.records.values(), dataset)

    def run_page(self, record: str) -> str:
        """The page of a record."""
        return f"runs/{record[: self._digits]}.html"

    @functools.cached_property
    def _digits(self) -> int:
        # Two records may be made to agree in the first digits.
        return _SHORT if len({record[:_SHORT] for record in self.records}) == len(self.records) else 64


def made_up(dataset: str) -> bool:
    """Whether the patients of a dataset were made up."""
    return dataset.startswith("phantom")


def dataset_page(dataset: str) -> str:
    """The page that a dataset's protocols share."""
    return f"{slug(dataset)}/index.html"


def protocol_page(dataset: str, protocol: str) -> str:
    """The page of a dataset under a protocol."""
    return f"{slug(dataset)}/{slug(protocol)}.html"


def slug(name: str) -> str:
    """A name as a file name: itself where it is harmless, else a digest, so that no two names share one."""
    try:
        harmless = safe_id(name) == name and name not in _TAKEN and not name.startswith(_HASHED)
    except BenchError:
        harmless = False
    return name if harmless else f"{_HASHED}{sha256(name.encode())[:_SHORT]}"
