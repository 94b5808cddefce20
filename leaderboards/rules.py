"""The rules a record must keep, each with an id, a sentence and a check: `docs/submit.md` lists them."""

import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from converters.files import digest
from leaderboards.record import CaseScore, Record
from leaderboards.soundness import ROUNDING, VOLUMES, doubtful, miscounted, out_of_range, unsaid, unsound
from leaderboards.summary import HEADLINE, definitions, family, short
from leaderboards.task_rules import contradictions, of_labels, unpaid
from leaderboards.task_rules import miscounted as counts_voxels
from leaderboards.variants import HANDED_IN

Found = Iterator[str]  # one sentence for each breach
Check = Callable[[Record], Found]
FOREIGN: dict[str, object] = {HANDED_IN: "foreign"}  # the recipe of predictions that somebody else made
EVIDENCE = ("dataset", "split", "code", "predictions")  # digests without which nothing can be scored again
PREDICTION = "prediction:"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_KNOWN = {"full", "semi", "scribble", "noisy"}  # protocols of which it is known whether labels agree with the reference


class Rule(NamedTuple):
    """One thing that must hold."""

    id: str
    sentence: str
    fatal: bool  # a record that breaks it contradicts itself, and enters no table
    check: Check


class Finding(NamedTuple):
    """A rule that does not hold, and where."""

    rule: Rule
    sentence: str


RULES: list[Rule] = []


def rule(name: str, sentence: str, *, fatal: bool) -> Callable[[Check], Check]:
    """Make a check one of the rules, in the order of the file."""

    def note(check: Check) -> Check:
        RULES.append(Rule(name, sentence, fatal, check))
        return check

    return note


def broken(record: Record) -> list[Finding]:
    """Every breach of every rule."""
    return [Finding(each, sentence) for each in RULES for sentence in each.check(record)]


def faults(record: Record) -> list[str]:
    """What a record contradicts itself in: edited by hand, cut, or written by something else."""
    return [sentence for each in RULES if each.fatal for sentence in each.check(record)]


def is_foreign(record: Record) -> bool:
    """Whether somebody else made the predictions: then there is no training here to tell of."""
    return record.recipe == FOREIGN


@rule("status", "The run is done, and holds scores.", fatal=True)
def _status(record: Record) -> Found:
    if record.status != "done":
        yield f"status {record.status}: {record.reason}"
    elif not record.cases:
        yield "status done, but not one scored case"


@rule("format", "The format that its definitions name is the one it is written in.", fatal=True)
def _format(record: Record) -> Found:
    if (named := record.definitions.get("record", str(record.format))) != str(record.format):
        yield f"written in format {record.format}, its definitions say {named}"


@rule("recipe", "Seed, data, protocol, draw, fold and method are those of its recipe.", fatal=True)
def _recipe(record: Record) -> Found:
    for field in ("seed", "dataset", "split", "protocol", "draw", "fold", "selection", "task"):
        said, ran = str(getattr(record, field)), str(record.recipe.get(field, getattr(record, field)))
        if field == "split" and record.fold:
            ran = f"{ran}-fold{record.fold}" if "split" in record.recipe else said
        if said != ran:
            yield f"{field} {said}, but the recipe says {ran}"
    if is_foreign(record) and any((record.budget, record.train, record.predict)):
        yield "predictions of somebody else, with a budget or a cost that only a run of ours has"
    train = record.recipe.get("train")
    if isinstance(train, dict) and train.get("method", record.method) != record.method:
        yield f"method {record.method}, but the recipe says {train['method']}"


@rule("once", "No case and label stands in it twice.", fatal=True)
def _once(record: Record) -> Found:
    twice = len(record.cases) - len({(score.case, score.label) for score in record.cases})
    if twice:
        yield f"{twice} case and label pairs stand in it twice"


@rule("labels", "Every case has every label.", fatal=True)
def _labels(record: Record) -> Found:
    labels, cases = {score.label for score in record.cases}, {score.case for score in record.cases}
    if len({(score.case, score.label) for score in record.cases}) == len(labels) * len(cases):
        return
    for case, scores in _by_case(record).items():
        if absent := sorted(labels - {score.label for score in scores}):
            yield f"case {case} has no score of {', '.join(absent)}"


@rule("case", "What holds for a whole case is the same under each of its labels.", fatal=True)
def _case(record: Record) -> Found:
    facts = {(s.case, s.subject, s.group, s.diagonal_mm, s.ignored, s.status == "invalid") for s in record.cases}
    if len(facts) == len({score.case for score in record.cases}):
        return
    for case, scores in _by_case(record).items():
        for field in ("subject", "group", "diagonal_mm", "ignored"):
            if len(values := {str(getattr(score, field)) for score in scores}) > 1:
                yield f"case {case}: {field} is {' and '.join(sorted(values))}"
        if len({score.status == "invalid" for score in scores}) > 1:
            yield f"case {case} is invalid for some labels only"


@rule("counts", "Voxel counts are not negative and fit the status; a task without label maps has none.", fatal=True)
def _counts(record: Record) -> Found:
    yield from _told(record, unsound if of_labels(record) else counts_voxels)


@rule("task", "Values of a task follow from one another: errors, and the classes of a case.", fatal=True)
def _task(record: Record) -> Found:
    yield from () if of_labels(record) else contradictions(record)


@rule(
    "overlap", "Dice, IoU, precision, sensitivity and relative volume difference are what the counts give.", fatal=True
)
def _overlap(record: Record) -> Found:
    if of_labels(record):
        yield from _told(record, lambda score: None if unsound(score) else miscounted(score))


@rule("volumes", "Volumes in mL and counts give one voxel size for a case.", fatal=True)
def _volumes(record: Record) -> Found:
    cases = _by_case(record)
    for case in dict.fromkeys(score.case for score in _doubtful(record)):
        told = [
            (voxels(s.tp, s.fp, s.fn), s.metrics.get(d))
            for s in cases[case]
            if not unsound(s)
            for d, voxels in VOLUMES.items()
        ]
        pairs = [(count, value) for count, value in told if value is not None]
        size = next((value / count for count, value in pairs if count), 0.0)
        if any(not math.isclose(value, count * size, rel_tol=ROUNDING) for count, value in pairs):
            yield f"case {case}: its volumes do not fit one voxel size"


@rule("range", "Ids are well formed, values finite, shares in 0..1, distances between 0 and the diagonal.", fatal=True)
def _range(record: Record) -> Found:
    wrong = unsound if of_labels(record) else counts_voxels
    yield from _told(record, lambda score: None if wrong(score) else out_of_range(score))


@rule(
    "headline",
    "Every score has the same headline metrics, each in one version, and a value where both sides are there.",
    fatal=True,
)
def _headline(record: Record) -> Found:
    wanted = {definition for definition in definitions(record.cases) if family(definition) in HEADLINE}
    versions = {name: sorted(d for d in wanted if short(d) == name) for name in map(short, wanted)}
    if twice := sorted(" and ".join(ids) for ids in versions.values() if len(ids) > 1):
        yield f"one metric in several versions: {', '.join(twice)}"
    # Else a bad case could leave the mean by having no value.
    yield from _told(record, lambda score: unsaid(score, wanted))


@rule("predictions", "The digest over all predictions is that of the digests of each.", fatal=True)
def _predictions(record: Record) -> Found:
    each = {key: value for key, value in record.digests.items() if key.startswith(PREDICTION)}
    if (each or "predictions" in record.digests) and record.digests.get("predictions") != digest(each):
        yield f"digest of the predictions is not {digest(each)[:12]}, which the {len(each)} digests of cases give"


@rule("evidence", "Dataset, split, code and predictions are named by their sha256.", fatal=False)
def _evidence(record: Record) -> Found:
    wanted = dict.fromkeys(EVIDENCE) | dict(record.digests)
    if wrong := sorted(key for key, value in wanted.items() if value is None or not _SHA256.fullmatch(value)):
        yield f"no sha256 of {', '.join(wrong)}"


@rule("every-prediction", "Every case that is not invalid has the digest of its prediction.", fatal=False)
def _every_prediction(record: Record) -> Found:
    cases = _by_case(record)
    known = {key.removeprefix(PREDICTION) for key in record.digests if key.startswith(PREDICTION)}
    valid = {case for case, scores in cases.items() if any(score.status != "invalid" for score in scores)}
    if lost := sorted(valid - known):
        yield f"no digest of the prediction for {', '.join(lost)}"
    if strange := sorted(known - set(cases)):
        yield f"a prediction, but no score, for {', '.join(strange)}"


@rule("seed", "One seed, a whole number from 0, for a run of ours the one in its recipe.", fatal=False)
def _seed(record: Record) -> Found:
    if record.seed < 0 or not (is_foreign(record) or "seed" in record.recipe):
        yield f"seed {record.seed}" + ("" if "seed" in record.recipe else ", and none in the recipe")


@rule("commit", "A run of ours names the commit of its code, and nothing was changed since.", fatal=False)
def _commit(record: Record) -> Found:
    commit = record.code.get("commit", "")
    if is_foreign(record):
        return
    if not _COMMIT.fullmatch(commit):
        yield f"commit '{commit}'" if commit else "no commit"
    elif record.code.get("dirty") != "false":
        yield f"changed since commit {commit[:12]}"


@rule("budget", "A run of ours says what labels it saw, and they suit its protocol.", fatal=False)
def _budget(record: Record) -> Found:
    budget = record.budget
    if is_foreign(record):
        return
    if budget is None:
        yield "no budget"
        return
    if not of_labels(record):
        yield from unpaid(budget)
        return
    if min(budget.labelled_subjects, budget.annotated_slices, budget.annotated_voxels) < 1:
        yield "no annotated voxel, slice or subject"
    if not budget.labelled_subjects <= budget.labelled_cases <= budget.annotated_slices <= budget.annotated_voxels:
        yield "fewer cases than subjects, slices than cases, or voxels than slices"
    if budget.agreement is not None and not 0 <= budget.agreement <= 1:
        yield f"labels agree to {budget.agreement}"
    kind = record.protocol.rstrip("0123456789")
    if kind in _KNOWN and (kind == "noisy") != (budget.agreement is not None):
        yield f"protocol {record.protocol}, labels that agree to {budget.agreement} with the clean ones"


@rule("cost", "A run of ours says what training and prediction took, the latter for every case.", fatal=False)
def _cost(record: Record) -> Found:
    if is_foreign(record):
        return
    if record.train is None or record.predict is None:
        yield "no cost"
    elif record.predict.items != len(_by_case(record)):
        yield f"{record.predict.items} cases predicted, {len(_by_case(record))} scored"
    elif min(record.train.seconds, record.predict.seconds, record.train.items, record.parameters) <= 0:
        yield "no time, no sample or no parameter"


def _by_case(record: Record) -> dict[str, list[CaseScore]]:
    found: dict[str, list[CaseScore]] = defaultdict(list)
    for score in record.cases:
        found[score.case].append(score)
    return found


def _doubtful(record: Record) -> list[CaseScore]:
    """The scores that a rule about one score must look at: the others cannot break any."""
    return record.found("_doubtful", lambda: doubtful(record.cases) if of_labels(record) else [*record.cases])


def _told(record: Record, fault: Callable[[CaseScore], str | None]) -> Found:
    for score in _doubtful(record):
        if sentence := fault(score):
            yield f"case {score.case}, {score.label}: {sentence}"
