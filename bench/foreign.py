"""Predictions that somebody else made: find what they belong to, and record their scores."""

import dataclasses
from pathlib import Path
from typing import NamedTuple

from bench import metrics, protocols, splits
from bench.matching import Match, of_folders, stem, with_dataset
from bench.score import Structures, prediction_digests
from bench.submission import safe
from converters.dataset import Dataset
from converters.errors import UsageError
from converters.files import digest
from converters.volume import data_sha256, read_label
from leaderboards import facts
from leaderboards.record import FORMAT, CaseScore, Record
from leaderboards.rule import FOREIGN

UNSTATED = "unstated"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared with what, and what of the data the record will name."""

    matches: tuple[Match, ...]
    structures: Structures
    dataset: str
    split: str
    digests: dict[str, str]  # of the dataset and the split
    problems: tuple[str, ...]


class Training(NamedTuple):
    """What the maker says of how the method was trained, where it is said."""

    protocol: str = UNSTATED
    labels: str | None = None  # which kind, as records of our runs have it
    draw: str | None = None  # a published list of labelled subjects, or a number
    selection: str | None = None


@dataclasses.dataclass(frozen=True)
class Claim:
    """What the maker of the predictions says about them; nobody here can check it."""

    method: str
    seed: int
    protocol: str
    version: str  # of the protocol
    labels: str
    draw: str
    selection: str

    @classmethod
    def of(cls, method: str, seed: int, training: Training) -> "Claim":
        """The claim as typed; where the protocol has dense labels alone, that need not be said.

        Raises:
            UsageError: there is no such protocol or draw, no protocol that the labels are of, or the method has no name
                that can be written down.
        """
        if not method.strip() or any("\ud800" <= sign <= "\udfff" for sign in method):
            raise UsageError(f"--method {method!r} is no name", mend="give the method a name in letters")
        selection = training.selection or UNSTATED
        if training.protocol == UNSTATED:
            if training.labels or training.draw:
                raise UsageError("labels of no protocol", mend="say --protocol, or leave out --labels and --draw")
            return cls(method, seed, UNSTATED, UNSTATED, "", "", selection)
        known = protocols.parse(training.protocol)
        dense = protocols.choices(known) == ("dense",)
        labels = training.labels or ("dense" if dense else "")
        draw = "" if training.draw is None else str(splits.parse_draw(training.draw))
        return cls(method, seed, known.name, f"{known.name}:v{known.version}", labels, draw, selection)


def compare(predictions: Path, reference: Path, split: str | None) -> Comparison:
    """Two files, two folders of files of one name, or a folder and a dataset, of which the split's test side counts.

    Raises:
        UsageError: a file meets a folder, or a split is named where there is no dataset.
        BenchError: nothing fits, or a reference is no reference.
    """
    if (reference / "dataset.json").is_file():
        return _with_dataset(predictions, Dataset.load(reference), split or splits.DEFAULT)
    if split is not None:
        raise UsageError(
            f"--split {split}: there is no dataset.json here", mend=f"leave out --split, or check {reference}"
        )
    if predictions.is_dir() != reference.is_dir():
        raise UsageError("one is a file, the other a folder", mend="give two files, or two folders")
    if reference.is_dir():
        matches, problems = of_folders(predictions, reference)
    else:
        matches, problems = (Match(stem(reference), stem(reference), None, reference, predictions),), []
    name = f"folder-{safe(stem(reference.resolve()))}"
    return Comparison(matches, Structures.found(matches), name, "all", {}, tuple(problems))


def _with_dataset(predictions: Path, dataset: Dataset, name: str) -> Comparison:
    split = splits.resolve(dataset, name)
    cases = [case for case in dataset.only(split.test).cases if case.label is not None]
    matches, problems = with_dataset(predictions, dataset, cases)
    digests = {"dataset": dataset.file.bench.content_sha256, "split": digest(split)}
    return Comparison(matches, Structures.of(dataset), dataset.name, name, digests, tuple(problems))


def record(comparison: Comparison, scores: tuple[CaseScore, ...], claim: Claim) -> Record:
    """The record of a foreign method: its scores, and none of the cost that nobody here has measured."""
    each = {f"prediction:{case}": found for case, found in prediction_digests(comparison.matches).items()}
    data = comparison.digests or {
        "dataset": digest({m.case: data_sha256(read_label(m.reference)) for m in comparison.matches})
    }
    return Record(
        status="done",
        reason=None,
        dataset=comparison.dataset,
        split=comparison.split,
        protocol=claim.protocol,
        draw=claim.draw,
        method=claim.method,
        seed=claim.seed,
        fold=0,
        selection=claim.selection,
        task="labels",
        annotator=claim.labels,
        recipe=dict(FOREIGN),
        digests={**data, **each, "predictions": digest(each), "code": facts.code_sha256()},
        definitions={"protocol": claim.version, "metrics": metrics.version(), "record": str(FORMAT)},
        code=facts.code_facts(),
        machine=facts.machine_facts(),
        budget=None,
        parameters=0,
        train=None,
        predict=None,
        cases=scores,
    )


def default_folder(record: Record) -> Path:
    """`runs/foreign/<dataset>/<method>/<digest>`: other predictions of one method do not take its place."""
    return Path("runs", "foreign", record.dataset, safe(record.method), record.digests["predictions"][:12])
