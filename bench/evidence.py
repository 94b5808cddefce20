"""What the numbers of a record can be made again from: the data it names, and the predictions it has digests of."""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from baselines.task import LABELS
from bench import profile, protocols, splits, task_view
from bench.matching import Match
from bench.recipe import Recipe
from bench.scorer import Scorer
from bench.task_asked import Asked, labels_of
from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError
from converters.files import digest, inside
from converters.volume import data_sha256, read_label
from leaderboards.record import CaseScore, Record
from leaderboards.rule import PREDICTION
from leaderboards.summary import HEADLINE, family, short

_ROUNDING = 1e-9
_EXACT = ("subject", "group", "status", "tp", "fp", "fn", "touches_border", "ignored")


@dataclasses.dataclass(frozen=True)
class Grounds:
    """The data that a record was scored on."""

    dataset: Dataset
    split: Split
    scorer: Scorer

    @classmethod
    def of(cls, record: Record, data: Path) -> "Grounds":
        """The dataset and the split that a record names, in a folder of converted datasets.

        Raises:
            BenchError: they are not there, or not those.
        """
        root = inside(data, record.dataset)
        if not (root / "dataset.json").is_file():
            raise BenchError(f"there is no {record.dataset}", where=data, mend="--data FOLDER of converted datasets")
        dataset = Dataset.load(root)
        split = splits.resolve(dataset, record.split)
        for name, found in (("dataset", dataset.content_sha256()), ("split", digest(split))):
            if found != record.digests.get(name):
                told = f"{found[:12]} here, {record.digests.get(name, 'none')[:12]} in the record"
                raise BenchError(f"another {name}: {told}", where=root, mend="convert the version the record names")
        return cls(dataset, split, _scorer(record, dataset, split))

    @property
    def cases(self) -> tuple[Case, ...]:
        """Those that are scored."""
        task = LABELS if self.scorer.asked is None else self.scorer.asked.name
        return tuple(case for case in self.dataset.only(self.split.test).cases if task_view.has_target(task, case))

    def matches(self, predictions: Path) -> tuple[Match, ...]:
        """Every case with its prediction."""
        return self.scorer.matches(predictions, self.cases)

    def score(self, matches: Sequence[Match]) -> tuple[CaseScore, ...]:
        """Every case under today's definitions, and by the profiles whose numbers the record holds."""
        return self.scorer.score(matches, None, [])


def _scorer(record: Record, dataset: Dataset, split: Split) -> Scorer:
    """How the predictions of a record are scored: by its recipe, where they are no label maps."""
    if record.task == LABELS:
        return Scorer(dataset, profiles=_profiles(record))
    try:
        recipe = msgspec.convert(record.recipe, Recipe)
    except msgspec.ValidationError as error:
        raise BenchError(f"recipe: {error}", mend="score it with the version that made it") from None
    return Scorer(dataset, Asked.of(recipe, dataset, split, protocols.parse(record.protocol)))


def strange_references(grounds: Grounds) -> Iterator[str]:
    """References on disk that are not those their sidecars name."""
    for case in grounds.cases if grounds.scorer.asked is None else ():  # images are checked as they are read
        assert case.label is not None
        if data_sha256(read_label(grounds.dataset.path(case.label.file))) != case.label.data_sha256:
            yield f"case {case.id}: {case.label.file} is not the file its sidecar names"


def strange_cases(record: Record, grounds: Grounds) -> Iterator[str]:
    """Cases that a record should hold and does not, and the reverse; then the same for labels."""
    for kind, wanted, found in (
        ("case", {case.id for case in grounds.cases}, {score.case for score in record.cases}),
        ("label", set(_labels(grounds)), {score.label for score in record.cases}),
    ):
        if lost := sorted(wanted - found):
            yield f"no score of {kind} {', '.join(lost)}"
        if more := sorted(found - wanted):
            yield f"{kind} {', '.join(more)} is not to be scored"


def _labels(grounds: Grounds) -> Iterable[str]:
    """Structures, classes, the name of a number, or channels."""
    return grounds.dataset.labels if grounds.scorer.asked is None else labels_of(grounds.dataset, grounds.scorer.asked)


def strange_predictions(record: Record, matches: Sequence[Match], scorer: Scorer) -> Iterator[str]:
    """Predictions that are not those the record names. An invalid one need not be there: it counts as the worst."""
    named = {k.removeprefix(PREDICTION): v for k, v in record.digests.items() if k.startswith(PREDICTION)}
    invalid = {score.case for score in record.cases if score.status == "invalid"}
    found = scorer.digests(matches)
    for case in sorted({*named, *found}):
        here, there = found.get(case), named.get(case)
        if here != there and not (here is None and case in invalid):
            yield f"case {case}: prediction {_short(here)} here, {_short(there)} in the record"


def differences(record: Record, scores: Sequence[CaseScore], version: str) -> Iterator[str]:
    """What a record says otherwise than the scores, of every definition that both know."""
    again = {(score.case, score.label): score for score in scores}
    known = {definition for score in scores for definition in score.metrics}
    told = {definition for score in record.cases for definition in score.metrics}
    if not known & told:
        yield f"no definition of the record is among those of scorer {version}"
    if lost := sorted(definition for definition in told - known if family(definition) in HEADLINE):
        yield f"scorer {version} gives no {', '.join(lost)}"
    for old in record.cases:
        new = again.get((old.case, old.label))
        if wrong := "not scored here" if new is None else ", ".join(_differing(old, new)):
            yield f"case {old.case}, {old.label}: {wrong}"


def _differing(old: CaseScore, new: CaseScore) -> Iterator[str]:
    for field in _EXACT:
        if getattr(old, field) != getattr(new, field):
            yield f"{field} {getattr(new, field)} for {getattr(old, field)}"
    both = old.metrics.keys() & new.metrics.keys()
    pairs: Mapping[str, tuple[float | None, float | None]] = {
        "diagonal_mm": (old.diagonal_mm, new.diagonal_mm),
        **{definition: (old.metrics[definition], new.metrics[definition]) for definition in sorted(both)},
    }
    for name, (said, found) in pairs.items():
        if not _equal(said, found):
            yield f"{name} {found} for {said}"


def _equal(said: float | None, found: float | None) -> bool:
    if said is None or found is None:
        return said is found
    return math.isclose(said, found, rel_tol=_ROUNDING, abs_tol=1e-12)


def _profiles(record: Record) -> tuple[str, ...]:
    ids = {definition for score in record.cases for definition in score.metrics}
    return tuple(sorted({name for name in map(_profile, ids) if name in profile.names()}))


def _profile(definition: str) -> str:
    return short(definition).partition(".")[0] if "." in short(definition) else ""


def _short(sha256: str | None) -> str:
    return "none" if sha256 is None else sha256[:12]
