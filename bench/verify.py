"""Check a record against the rules, its predictions and its weights: `docs/submit.md` says what each level means."""

import dataclasses
import functools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from baselines.config import PredictConfig, plain
from bench import evidence, metrics, protocols, splits, task_metrics
from bench.claims import Claimed
from bench.evidence import Grounds
from bench.matching import Match
from converters.errors import BenchError, UsageError
from converters.files import Strict, read_json, sha256
from leaderboards import rules
from leaderboards.record import Record
from leaderboards.rule import is_foreign
from leaderboards.summary import family, leading
from leaderboards.task_rules import of_labels
from leaderboards.tasks import title
from leaderboards.verification import REINFERRED, RESCORED, RULES, Verification

NEAR = {"dice": 1e-4, "absolute_error": 1e-2, "psnr_db": 1e-2}  # as another machine must come with the same weights
SHOWN = 3  # breaches of one rule


@dataclasses.dataclass(frozen=True)
class Means:
    """What to check with."""

    data: Path
    device: str = "cpu"
    plugin: Path | None = None


class Result(Strict):
    """What became of one rule."""

    rule: str
    level: int
    sentence: str
    found: tuple[str, ...]  # breaches
    checked: bool = True  # False where an earlier rule left nothing to check

    @property
    def holds(self) -> bool:
        """Whether it was checked and nothing was found."""
        return self.checked and not self.found


class Check(NamedTuple):
    """A rule above level 0."""

    id: str
    level: int
    sentence: str
    breaches: Callable[["_Work"], Iterator[str]]


CHECKS: list[Check] = []


def check(name: str, level: int, sentence: str) -> Callable[[Callable[["_Work"], Iterator[str]]], None]:
    """Make a function one of the rules; where one is broken, those after it are not checked."""
    return lambda breaches: CHECKS.append(Check(name, level, sentence, breaches))


def verify_rules(record: Record) -> list[Result]:
    """Level 0: what the record says of itself."""
    found: dict[str, list[str]] = {}
    for breach in rules.broken(record):
        found.setdefault(breach.rule.id, []).append(breach.sentence)
    return [
        Result(rule=each.id, level=RULES, sentence=each.sentence, found=tuple(found.get(each.id, ())))
        for each in rules.RULES
    ]


def verify(claimed: Claimed, level: int, means: Means) -> list[Result]:
    """Every rule up to a level, and what became of it."""
    results = verify_rules(claimed.record)
    sound = not rules.faults(claimed.record)
    with tempfile.TemporaryDirectory() as scratch:
        work = _Work(claimed, means, Path(scratch))
        for each in CHECKS:
            if each.level <= level:
                found = _breaches(each, work) if sound else ()
                results.append(
                    Result(rule=each.id, level=each.level, sentence=each.sentence, found=found, checked=sound)
                )
                sound = sound and not found
    return results


def verification(record: Record, results: Sequence[Result]) -> Verification:
    """What is written down: the highest level of which, and of all below, every rule holds."""
    reached = RULES
    for level in (RULES, RESCORED, REINFERRED):
        some = [result for result in results if result.level == level]
        if not some or not all(result.holds for result in some):
            break
        reached = level
    told = tuple(f"{result.rule}: {sentence}" for result in results for sentence in some_of(result.found))
    version = (metrics if of_labels(record) else task_metrics).version()
    return Verification(record=record.id(), level=reached, scorer=version, findings=told)


def some_of(found: tuple[str, ...]) -> tuple[str, ...]:
    """The first breaches, and how many more there are."""
    more = len(found) - SHOWN
    return (*found[:SHOWN], f"{more} more") if more > 0 else found


def _breaches(each: Check, work: "_Work") -> tuple[str, ...]:
    try:
        return tuple(each.breaches(work))
    except UsageError as error:
        return (f"{error.what} {error.mend or ''}".strip(),)
    except BenchError as error:
        return (error.what,)
    except OSError as error:
        return (error.strerror or type(error).__name__,)  # its path would tell whose machine this is


@dataclasses.dataclass(frozen=True)
class _Work:
    """Read once, used by several checks."""

    claimed: Claimed
    means: Means
    scratch: Path

    @property
    def record(self) -> Record:
        return self.claimed.record

    @functools.cached_property
    def grounds(self) -> Grounds:
        return Grounds.of(self.record, self.means.data)

    @functools.cached_property
    def matches(self) -> tuple[Match, ...]:
        return self.grounds.matches(self.claimed.predictions)


@check("data", RESCORED, "The dataset and the split are here, and are those that the record names.")
def _data(work: _Work) -> Iterator[str]:
    yield from evidence.strange_references(work.grounds)


@check("cases", RESCORED, "Every test case that has a reference is scored, for every label, and no other.")
def _cases(work: _Work) -> Iterator[str]:
    yield from evidence.strange_cases(work.record, work.grounds)


@check("share", RESCORED, "A run of ours saw as many labelled subjects as its protocol allows.")
def _share(work: _Work) -> Iterator[str]:
    budget = work.record.budget
    if is_foreign(work.record) or budget is None:
        return
    percent = protocols.parse(work.record.protocol).percent
    asked = work.grounds.scorer.asked
    allowed = splits.count(percent, len(work.grounds.split.train)) if asked is None else len(asked.visible)
    trained_on = budget.labelled_subjects - budget.validation_subjects
    if trained_on > allowed:
        yield f"{trained_on} labelled subjects; {work.record.protocol} allows {allowed}"


@check("voxels", RESCORED, "Every prediction holds the voxels that the record has the digest of.")
def _voxels(work: _Work) -> Iterator[str]:
    yield from evidence.strange_predictions(work.record, work.matches, work.grounds.scorer)


@check("scores", RESCORED, "Scored again, the predictions give the recorded counts, and the values to 1e-9.")
def _scores(work: _Work) -> Iterator[str]:
    grounds = work.grounds
    yield from evidence.differences(work.record, grounds.score(work.matches), grounds.scorer.version)


@check("weights", REINFERRED, "The weights are those the record names, trained with the settings of its recipe.")
def _weights(work: _Work) -> Iterator[str]:
    from baselines.model import ModelSpec

    if not (work.claimed.model / "model.json").is_file():
        yield "there are no weights"
        return
    spec = read_json(work.claimed.model / "model.json", ModelSpec)
    found = sha256((work.claimed.model / "model.safetensors").read_bytes())
    if found != (named := work.record.digests.get("model", found)):
        yield f"weights {found[:12]} here, {named[:12]} in the record"
    if plain(spec.config) != work.record.recipe.get("train"):
        yield "trained with other settings than the recipe's"
    if spec.seed != work.record.seed:
        yield f"trained with seed {spec.seed}, recorded is {work.record.seed}"


@check("again", REINFERRED, "Predicted again, the voxels or values are the same, or every score is near; Dice to 1e-4.")
def _again(work: _Work) -> Iterator[str]:
    from baselines import predict

    grounds = work.grounds
    where = predict.Setting(work.means.device, work.means.plugin, config=_predicted_with(work.record))
    predict.predict(work.claimed.model, grounds.dataset, grounds.cases, work.scratch, where)
    matches = grounds.matches(work.scratch)
    if not list(evidence.strange_predictions(work.record, matches, grounds.scorer)):
        return
    again = {(score.case, score.label): score for score in grounds.score(matches)}
    for old in work.record.cases:
        for definition in leading(old.metrics):
            said, found = old.metrics.get(definition), again[old.case, old.label].metrics[definition]
            if abs((said or 0.0) - (found or 0.0)) > near(definition) or (said is None) != (found is None):
                yield f"case {old.case}, {old.label}: {title(definition) or 'Dice'} {found} for {said}"


def near(definition: str) -> float:
    """How far the score of a case may move on another machine: a class may not."""
    return NEAR.get(family(definition), 0.0)


def _predicted_with(record: Record) -> PredictConfig:
    """How the record says its predictions were made.

    Raises:
        BenchError: it says what no prediction can be made with.
    """
    try:
        return msgspec.convert(record.recipe.get("predict", {}), PredictConfig)
    except msgspec.ValidationError as error:
        raise BenchError(f"recipe.predict: {error}") from None
