"""The rules about what a record says of itself and of its scores: one that breaks them enters no table."""

import math
from collections.abc import Callable

from converters.files import digest
from leaderboards.record import CaseScore, Record
from leaderboards.rule import PREDICTION, Book, Found, by_case, is_foreign
from leaderboards.soundness import ROUNDING, VOLUMES, doubtful, miscounted, out_of_range, unsaid, unsound
from leaderboards.summary import HEADLINE, definitions, family, short
from leaderboards.task_rules import contradictions, of_labels
from leaderboards.task_rules import miscounted as counts_voxels

RULES = Book(fatal=True)


@RULES.rule("status", "The run is done, and holds scores.")
def _status(record: Record) -> Found:
    if record.status != "done":
        yield f"status {record.status}: {record.reason}"
    elif not record.cases:
        yield "status done, but not one scored case"


@RULES.rule("format", "The format that its definitions name is the one it is written in.")
def _format(record: Record) -> Found:
    if (named := record.definitions.get("record", str(record.format))) != str(record.format):
        yield f"written in format {record.format}, its definitions say {named}"


@RULES.rule("recipe", "Seed, data, protocol, draw, fold and method are those of its recipe.")
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


@RULES.rule("once", "No case and label stands in it twice.")
def _once(record: Record) -> Found:
    twice = len(record.cases) - len({(score.case, score.label) for score in record.cases})
    if twice:
        yield f"{twice} case and label pairs stand in it twice"


@RULES.rule("labels", "Every case has every label.")
def _labels(record: Record) -> Found:
    labels, cases = {score.label for score in record.cases}, {score.case for score in record.cases}
    if len({(score.case, score.label) for score in record.cases}) == len(labels) * len(cases):
        return
    for case, scores in by_case(record).items():
        if absent := sorted(labels - {score.label for score in scores}):
            yield f"case {case} has no score of {', '.join(absent)}"


@RULES.rule("case", "What holds for a whole case is the same under each of its labels.")
def _case(record: Record) -> Found:
    facts = {(s.case, s.subject, s.group, s.diagonal_mm, s.ignored, s.status == "invalid") for s in record.cases}
    if len(facts) == len({score.case for score in record.cases}):
        return
    for case, scores in by_case(record).items():
        for field in ("subject", "group", "diagonal_mm", "ignored"):
            if len(values := {str(getattr(score, field)) for score in scores}) > 1:
                yield f"case {case}: {field} is {' and '.join(sorted(values))}"
        if len({score.status == "invalid" for score in scores}) > 1:
            yield f"case {case} is invalid for some labels only"


@RULES.rule("counts", "Voxel counts are not negative and fit the status; a task without label maps has none.")
def _counts(record: Record) -> Found:
    yield from _told(record, unsound if of_labels(record) else counts_voxels)


@RULES.rule("task", "Values of a task follow from one another: errors, and the classes of a case.")
def _task(record: Record) -> Found:
    yield from () if of_labels(record) else contradictions(record)


@RULES.rule("overlap", "Dice, IoU, precision, sensitivity and relative volume difference are what the counts give.")
def _overlap(record: Record) -> Found:
    if of_labels(record):
        yield from _told(record, lambda score: None if unsound(score) else miscounted(score))


@RULES.rule("volumes", "Volumes in mL and counts give one voxel size for a case.")
def _volumes(record: Record) -> Found:
    cases = by_case(record)
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


@RULES.rule("range", "Ids are well formed, values finite, shares in 0..1, distances between 0 and the diagonal.")
def _range(record: Record) -> Found:
    wrong = unsound if of_labels(record) else counts_voxels
    yield from _told(record, lambda score: None if wrong(score) else out_of_range(score))


@RULES.rule(
    "headline",
    "Every score has the same headline metrics, each in one version, and a value where both sides are there.",
)
def _headline(record: Record) -> Found:
    wanted = {definition for definition in definitions(record.cases) if family(definition) in HEADLINE}
    versions = {name: sorted(d for d in wanted if short(d) == name) for name in map(short, wanted)}
    if twice := sorted(" and ".join(ids) for ids in versions.values() if len(ids) > 1):
        yield f"one metric in several versions: {', '.join(twice)}"
    # Else a bad case could leave the mean by having no value.
    yield from _told(record, lambda score: unsaid(score, wanted))


@RULES.rule("predictions", "The digest over all predictions is that of the digests of each.")
def _predictions(record: Record) -> Found:
    each = {key: value for key, value in record.digests.items() if key.startswith(PREDICTION)}
    if (each or "predictions" in record.digests) and record.digests.get("predictions") != digest(each):
        yield f"digest of the predictions is not {digest(each)[:12]}, which the {len(each)} digests of cases give"


def _doubtful(record: Record) -> list[CaseScore]:
    """The scores that a rule about one score must look at: the others cannot break any."""
    return record.found("_doubtful", lambda: doubtful(record.cases) if of_labels(record) else [*record.cases])


def _told(record: Record, fault: Callable[[CaseScore], str | None]) -> Found:
    for score in _doubtful(record):
        if sentence := fault(score):
            yield f"case {score.case}, {score.label}: {sentence}"
