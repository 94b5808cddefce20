"""A done run scored again from its stored predictions, under today's definitions: nothing is trained or predicted."""

from pathlib import Path

import msgspec

from bench import evidence
from bench.evidence import Grounds
from bench.submission import Source
from converters.errors import BenchError
from leaderboards import facts
from leaderboards.record import Record
from leaderboards.rules import faults


def rescore(source: Source, data: Path) -> Record:
    """The record with new cases, scorer and metrics version; all else is kept.

    Raises:
        BenchError: the run is not done, its data are not those it was scored on, or a prediction is another.
    """
    record = source.record
    if record.status != "done":
        raise BenchError(f"the run is {record.status}: {record.reason}", where=source.folder, mend="bench run ...")
    if wrong := faults(record):
        raise BenchError(wrong[0], where=source.folder, mend="run it again")
    grounds = Grounds.of(record, data)
    matches = grounds.matches(source.predictions)
    wrong = [*evidence.strange_references(grounds), *evidence.strange_predictions(record, matches, grounds.scorer)]
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise BenchError(wrong[0] + more, where=source.predictions, mend="run it again")
    return msgspec.structs.replace(
        record,
        cases=grounds.score(matches),
        definitions={**record.definitions, "metrics": grounds.scorer.version},
        code={**record.code, "scorer": _scorer()},
    )


def _scorer() -> str:
    """The commit that scored, or the digest of its code where there is none."""
    told = facts.code_facts()
    return told["commit"] if told.get("dirty") == "false" else f"code {facts.code_sha256()[:12]}"
