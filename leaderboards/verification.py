"""What `bench verify` found out about a record: the file beside it, read only where it names that very record."""

from pathlib import Path

from converters.errors import BenchError
from converters.files import Strict, read_json
from leaderboards.record import Record

FORMAT = 1
RULES, RESCORED, REINFERRED = LEVELS = (0, 1, 2)
ENDING = "verified.json"


class Verification(Strict):
    """How far a record was checked by somebody who did not make it."""

    record: str  # its id
    level: int  # 0 the rules, 1 scored again from its predictions, 2 predicted again from its weights
    scorer: str  # version of the metrics it was scored again with
    findings: tuple[str, ...]  # what did not hold
    format: int = FORMAT


def beside(record: Path) -> Path:
    """Where the verification of a record file stands: `a.verified.json` for `a.json`, `verified.json` for a run's."""
    return record.with_name(ENDING if record.name == "record.json" else f"{record.name.removesuffix('.json')}.{ENDING}")


def level(file: Path, record: Record) -> int:
    """The level that the verification beside a record file grants it; 0 where there is none.

    Raises:
        BenchError: it is malformed, of a newer format, or about another record.
    """
    path = beside(file)
    if not path.is_file():
        return RULES
    found = read_json(path, Verification)
    if found.format > FORMAT:
        raise BenchError(f"verification format {found.format} is newer than {FORMAT}", where=path)
    if found.record != record.id():
        raise BenchError(f"it verifies record {found.record[:12]}, this one is {record.id()[:12]}", where=path)
    if found.level not in LEVELS:
        raise BenchError(f"there is no level {found.level}", where=path)
    return found.level
