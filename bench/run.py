"""recipe -> record: the whole story on one page."""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bench import metrics, protocols, splits
from bench.lock import locked
from bench.recipe import Recipe
from bench.views import budget, view
from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError
from converters.files import digest
from leaderboards import facts
from leaderboards.record import FORMAT, CaseScore, Cost, Record

if TYPE_CHECKING:
    from baselines.train import Trained

Progress = Callable[[str, int, int], None]  # phase, done, total


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a run happens, beside what decides its numbers."""

    device: str = "cpu"
    plugin: Path | None = None
    progress: Progress = lambda phase, done, total: None


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe tied to the data it will meet: what `--dry-run` prints and `run` carries out."""

    recipe: Recipe
    dataset: Dataset
    split: Split
    protocol: protocols.Protocol
    folder: Path

    @property
    def test(self) -> tuple[Case, ...]:
        """Cases that are predicted and scored."""
        return tuple(case for case in self.dataset.only(self.split.test).cases if case.label is not None)

    @property
    def definitions(self) -> dict[str, str]:
        """Versions of everything a number's meaning hangs on."""
        return {
            "protocol": f"{self.protocol.name}:v{self.protocol.version}",
            "metrics": metrics.version(),
            "record": str(FORMAT),
        }


def plan(recipe: Recipe, dataset: Dataset, runs: Path) -> Plan:
    """Resolve split and protocol and name the run folder; nothing is written.

    The folder's digest covers the recipe, the dataset's content, the split, and the protocol and metric versions.
    """
    split = splits.resolve(dataset, recipe.split_name)
    protocol = protocols.parse(recipe.protocol, annotator=recipe.annotator or None)
    recipe = msgspec.structs.replace(recipe, protocol=protocol.name)  # `noisy` is `noisy50`: one run, one folder
    made = Plan(recipe, dataset, split, protocol, runs)
    identity = digest([recipe, dataset.file.bench.content_sha256, split, made.definitions])[:12]
    folder = runs / dataset.name / recipe.protocol / recipe.train.method / identity
    return dataclasses.replace(made, folder=folder)


def run(plan: Plan, place: Place) -> Record:
    """View, train, predict, score, record. A finished run is given back as it is; an interrupted one continues.

    Raises:
        EnvironmentFault: another process is at this run.
        BenchError: something failed; `failed-<n>.json` says what, and the next call tries again.
    """
    done = plan.folder / "record.json"
    with locked(plan.folder):
        if done.is_file():
            return Record.load(done)
        try:
            record = _carry_out(plan, place)
        except Exception as error:
            _failed(plan, error)
            raise
        record.save(done)
        return record


def _carry_out(plan: Plan, place: Place) -> Record:
    from baselines import predict, train
    from bench.matching import with_dataset
    from bench.score import Structures, prediction_digests, score_matches

    recipe, folder = plan.recipe, plan.folder
    seen = view(plan.dataset, plan.split, plan.protocol, recipe.draw, folder / "view")
    told = place.progress
    try:
        setting = train.Setting(recipe.seed, place.device, place.plugin, lambda i, n: told("train", i, n))
        trained = train.train(seen, recipe.train, folder / "model", setting)
    except train.RefusedError as error:
        return _record(plan, seen, status="skipped", reason=error.what)
    # Predictions are made and scored afresh each time: half a folder from an interrupted run is written over.
    where = predict.Setting(place.device, place.plugin, lambda i, n: told("predict", i, n))
    cost = predict.predict(trained.model, plan.dataset, plan.test, folder / "predictions", where)
    matches, _ = with_dataset(folder / "predictions", plan.dataset, plan.test)
    done = itertools.count(1)

    def scored(_: int) -> None:
        told("score", next(done), len(matches))

    problems: list[str] = []
    scores = score_matches(matches, Structures.of(plan.dataset), scored, problems)
    if problems:
        raise BenchError("; ".join(problems), where=folder / "predictions")
    return _record(plan, seen, status="done", outcome=Outcome(trained, cost, scores, prediction_digests(matches)))


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a finished run brings into its record."""

    trained: "Trained"
    predict: Cost
    scores: tuple[CaseScore, ...]
    predictions: dict[str, str]  # case -> digest of its voxels


def _record(
    plan: Plan, seen: Dataset | None, *, status: str, reason: str | None = None, outcome: Outcome | None = None
) -> Record:
    recipe = plan.recipe
    digests = {
        "dataset": plan.dataset.file.bench.content_sha256,
        "split": digest(plan.split),
        "recipe": digest(recipe),
        "code": facts.code_sha256(),
    }
    if outcome is not None:
        each = {f"prediction:{case}": found for case, found in outcome.predictions.items()}
        digests |= each | {"predictions": digest(each)}
    if seen is not None:
        digests["view"] = digest(seen.file)  # content and parent facts; the sidecars hold relative paths
    return Record(
        status=status,  # type: ignore[arg-type]
        reason=reason,
        dataset=plan.dataset.name,
        split=plan.split.name,
        protocol=plan.protocol.name,
        draw=str(recipe.draw),
        method=recipe.train.method,
        seed=recipe.seed,
        fold=recipe.fold,
        selection=recipe.selection,
        task=recipe.task,
        annotator=_annotator(seen),
        recipe=_plain(recipe),
        digests=digests,
        definitions=plan.definitions,
        code=facts.code_facts(),
        machine=facts.machine_facts(),
        budget=budget(seen, plan.dataset) if seen is not None else None,
        parameters=outcome.trained.parameters if outcome else 0,
        train=outcome.trained.cost if outcome else None,
        predict=outcome.predict if outcome else None,
        cases=outcome.scores if outcome else (),
    )


def _failed(plan: Plan, error: Exception) -> None:
    """Leave a record of the failure; it never enters a table, and the run is tried again."""
    reason = error.what if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    number = len(list(plan.folder.glob("failed-*.json"))) + 1
    _record(plan, None, status="failed", reason=reason).save(plan.folder / f"failed-{number}.json")


def _annotator(seen: Dataset | None) -> str:
    parent = seen.file.bench.parent if seen is not None else None
    return str(parent.protocol.get("annotator", "")) if parent is not None else ""


def _plain(recipe: Recipe) -> dict[str, object]:
    # Through JSON, so that a record is equal to itself read back: lists, no tuples.
    plain: dict[str, object] = msgspec.json.decode(msgspec.json.encode(recipe))
    return plain
