"""What there is to verify: records, and the files that should bear them out, in run folders and submissions."""

import dataclasses
from pathlib import Path

from bench.submission import MANIFEST, Submission
from converters.archives import unpack
from converters.errors import BenchError
from converters.files import inside
from leaderboards import collect
from leaderboards.record import Record


@dataclasses.dataclass(frozen=True)
class Claimed:
    """A record, and the files that should bear it out."""

    name: str
    file: Path
    record: Record
    predictions: Path
    model: Path
    sent: bool = False  # in a submission, of which the sender chose the names

    @classmethod
    def at(cls, file: Path, name: str, predictions: Path | None = None) -> "Claimed":
        """A record file with what lies beside it, as `bench run` leaves it.

        Raises:
            BenchError: it is malformed or of a newer format.
        """
        beside = file.parent
        return cls(name, file, Record.load(file), predictions or beside / "predictions", beside / "model")


def claims(path: Path, scratch: Path, predictions: Path | None = None) -> list[Claimed]:
    """Every record that a path stands for: a submission, packed or not, a run folder, a folder of them, a record file.

    Raises:
        BenchError: there is nothing to verify, a record cannot be read, or a submission is not as its manifest says.
    """
    if path.suffix == ".zip":
        unpack(path, scratch)
        if not (scratch / MANIFEST).is_file():
            raise BenchError(f"no {MANIFEST} in it", where=path, mend="bench submit RUN --out FILE.zip")
        return _submitted(scratch, path)
    if (path / MANIFEST).is_file():
        return _submitted(path, path)
    found = [Claimed.at(file, str(file), predictions) for file in collect.files([path])]
    if not found:
        raise BenchError("no record here", where=path, mend="give a run folder, a record file or a submission")
    return found


def _submitted(folder: Path, shown: Path) -> list[Claimed]:
    found = []
    for run in Submission.load(folder, shown).runs:
        claimed = Claimed.at(inside(folder, run.record), f"{shown}: {run.record}", inside(folder, run.predictions))
        if claimed.record.id() != run.id:
            raise BenchError(f"{run.record} is not record {run.id[:12]}", where=shown, mend="bench submit again")
        found.append(dataclasses.replace(claimed, sent=True))
    if not found:
        raise BenchError("no run in it", where=shown, mend="bench submit RUN --out FILE.zip")
    return found
