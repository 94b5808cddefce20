"""One case to convert, and what the last conversion made of it."""

import contextlib
import dataclasses
from pathlib import Path

from converters.dataset import Case
from converters.errors import BenchError
from converters.files import read_json, safe_id
from converters.source import Info, RawCase


@dataclasses.dataclass(frozen=True)
class Job:
    """One case to convert, and where from and to."""

    raw: Path
    root: Path
    info: Info
    case: RawCase

    @property
    def id(self) -> str:
        """The case id in the dataset."""
        return safe_id(self.case.native_id, where=self.raw)

    @property
    def sidecar(self) -> Path:
        """The case's description on disk."""
        return self.root / "cases" / f"{self.id}.json"

    def earlier(self) -> Case | None:
        """The case as an earlier conversion left it, or None."""
        with contextlib.suppress(BenchError):
            return read_json(self.sidecar, Case)
        return None
