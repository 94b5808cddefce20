"""Which records scored what their table is about: nobody may leave a case out, add one, or divide a patient."""

from collections import Counter
from collections.abc import Mapping, Sequence

from leaderboards.record import Record

Scored = frozenset[tuple[str, str, str]]  # case, label, subject


def agreeing(members: Sequence[Record], verified: Mapping[str, int], problems: list[str]) -> list[Record]:
    """The records of one table that scored just its cases and labels; `problems` is given a sentence about each other.

    A table is about what its best verified records scored; of several such, about what most did, or else the most.
    """
    highest = max(verified.get(record.id(), 0) for record in members)
    scored = [_scored(record) for record in members]
    counts = Counter(
        found for found, record in zip(scored, members, strict=True) if verified.get(record.id(), 0) == highest
    )
    wanted = max(counts, key=lambda found: (counts[found], len(found), -_subjects(found), sorted(found)))
    kept = []
    for record, found in zip(members, scored, strict=True):
        if fault := _fault(found, wanted):
            problems.append(f"{told(record)}: {fault}; left out")
        else:
            kept.append(record)
    return kept


def told(record: Record) -> str:
    """A record in a sentence."""
    run = f"seed {record.seed}, draw {record.draw}, record {record.id()[:12]}"
    return f"{record.method} on {record.dataset} {record.protocol}, {run}"


def _scored(record: Record) -> Scored:
    return frozenset((score.case, score.label, score.subject) for score in record.cases)


def _subjects(scored: Scored) -> int:
    return len({subject for *_, subject in scored})


def _fault(found: Scored, wanted: Scored) -> str:
    if found == wanted:
        return ""
    here, there = ({(case, label) for case, label, _ in scored} for scored in (found, wanted))
    if lacking := there - here:
        return f"{len(lacking)} of {len(there)} scores of its table are not there"
    if more := here - there:
        return f"{len(more)} scores that its table has not"
    return "its cases are of other subjects than those of its table"
