"""A recipe tied to the data it will meet: who trains, who tests, and where the run lives."""

import dataclasses
from pathlib import Path

import msgspec

from baselines.config import plain
from baselines.task import LABELS
from bench import metrics, protocols, splits, task_metrics, task_view
from bench.recipe import Recipe
from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError
from converters.files import digest
from leaderboards.record import FORMAT


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe tied to the data it will meet: what `--dry-run` prints and `run` carries out."""

    recipe: Recipe
    dataset: Dataset
    split: Split
    protocol: protocols.Protocol
    folder: Path
    others: Dataset | None = None  # whose cases join the training without labels

    @property
    def test(self) -> tuple[Case, ...]:
        """Cases that are predicted and scored."""
        return self._scored(self.split.test)

    @property
    def validation(self) -> tuple[Case, ...]:
        """Cases that a step is selected by, where that is asked for."""
        return self._scored(self.split.val)

    def _scored(self, subjects: tuple[str, ...]) -> tuple[Case, ...]:
        return tuple(case for case in self.dataset.only(subjects).cases if task_view.has_target(self.recipe.task, case))

    @property
    def recipe_digest(self) -> str:
        """What records and planned runs name the recipe by; the data are not part of it."""
        return digest(plain(self.recipe))

    @property
    def definitions(self) -> dict[str, str]:
        """Versions of everything a number's meaning hangs on."""
        return {
            "protocol": f"{self.protocol.name}:v{self.protocol.version}",
            "metrics": (metrics if self.recipe.task == LABELS else task_metrics).version(),
            "record": str(FORMAT),
        }


def plan(recipe: Recipe, dataset: Dataset, runs: Path, others: Dataset | None = None) -> Plan:
    """Resolve split and protocol and name the run folder; nothing is written.

    The folder's digest covers what decides numbers: the recipe, the dataset's content, the split, the protocol and
    metric versions, the content of `others`, the dataset that the recipe calls unlabelled, and the values of a task.

    Raises:
        UsageError: the split has no draw of that name.
        BenchError: the draw lists fewer subjects than the protocol labels; a step is to be selected, and nobody is
            there to select it by; the task is a value, and the protocol is about label maps; the split tests nobody who
            has the task's target, or is by label maps and the task needs none.
    """
    split = splits.resolve(dataset, recipe.split_name)
    protocol = protocols.parse(recipe.protocol, annotator=recipe.annotator or None)
    task_view.check(recipe.task, protocol)
    # `noisy` is `noisy50`: one run, one folder.
    recipe = msgspec.structs.replace(recipe, protocol=protocol.name, unlabelled=others.name if others else "")
    made = Plan(recipe, dataset, split, protocol, runs, others)
    task_view.check_split(recipe.task, dataset, split)
    task_view.shown(dataset, split, protocol, recipe.draw, recipe.task)  # refuses what a view could not be made of
    if recipe.selection != "last" and not made.validation:
        raise BenchError(
            f"split '{split.name}' has no validation subject with a label to select a step by",
            where=dataset.root,
            mend="--set selection=last, or another --split; test subjects are never looked at",
        )
    versions = made.definitions | {"record": "1"}  # a run is found again whatever format its record would have today
    content = [one.file.bench.content_sha256 for one in (dataset, others) if one is not None]
    content += task_view.values_sha256(dataset, recipe.task)
    identity = digest([plain(recipe), *content, split, versions])[:12]
    folder = runs / dataset.name / recipe.protocol / recipe.train.method / identity
    return dataclasses.replace(made, folder=folder)
