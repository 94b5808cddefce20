"""The rules a record must keep, each with an id, a sentence and a check: `docs/submit.md` lists them."""

from typing import NamedTuple

from leaderboards import run_rules, score_rules
from leaderboards.record import Record
from leaderboards.rule import Rule

RULES: tuple[Rule, ...] = (*score_rules.RULES, *run_rules.RULES)


class Finding(NamedTuple):
    """A rule that does not hold, and where."""

    rule: Rule
    sentence: str


def broken(record: Record) -> list[Finding]:
    """Every breach of every rule."""
    return [Finding(each, sentence) for each in RULES for sentence in each.check(record)]


def faults(record: Record) -> list[str]:
    """What a record contradicts itself in: edited by hand, cut, or written by something else."""
    return [sentence for each in RULES if each.fatal for sentence in each.check(record)]
