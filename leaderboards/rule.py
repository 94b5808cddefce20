"""What a rule for records is, and what rules of both kinds ask of a record."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from leaderboards.record import CaseScore, Record
from leaderboards.variants import HANDED_IN

Found = Iterator[str]  # one sentence for each breach
Check = Callable[[Record], Found]
FOREIGN: dict[str, object] = {HANDED_IN: "foreign"}  # the recipe of predictions that somebody else made
PREDICTION = "prediction:"


class Rule(NamedTuple):
    """One thing that must hold."""

    id: str
    sentence: str
    fatal: bool  # a record that breaks it contradicts itself, and enters no table
    check: Check


class Book(list[Rule]):
    """Rules of one kind, in the order in which they were written down."""

    def __init__(self, *, fatal: bool) -> None:
        super().__init__()
        self.fatal = fatal

    def rule(self, name: str, sentence: str) -> Callable[[Check], Check]:
        """Make a check one of them."""

        def note(check: Check) -> Check:
            self.append(Rule(name, sentence, self.fatal, check))
            return check

        return note


def is_foreign(record: Record) -> bool:
    """Whether somebody else made the predictions: then there is no training here to tell of."""
    return record.recipe == FOREIGN


def by_case(record: Record) -> dict[str, list[CaseScore]]:
    """The scores of each case."""
    found: dict[str, list[CaseScore]] = defaultdict(list)
    for score in record.cases:
        found[score.case].append(score)
    return found
