"""What the predictions of a task are scored against, and what comes of one of them."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from baselines.config import TrainConfig
from baselines.task import Task, find
from bench import task_view
from bench.matching import Match
from bench.protocols import Protocol
from bench.recipe import Recipe
from bench.task_metrics import Values
from converters.dataset import Case, Dataset, Split


@dataclasses.dataclass(frozen=True)
class Asked:
    """What predictions are scored against, beside the cases themselves."""

    name: str
    train: TrainConfig  # how images were normalised, and of which dimensions a patch is
    visible: tuple[str, ...]  # subjects whose value training saw: the constant predictor knows these
    training: tuple[str, ...]  # subjects of the training side: the mean image is theirs

    @classmethod
    def of(cls, recipe: Recipe, dataset: Dataset, split: Split, protocol: Protocol) -> "Asked":
        """What a recipe asks for on these data. Reads no file."""
        visible = task_view.shown(dataset, split, protocol, recipe.draw, recipe.task)
        return cls(recipe.task, recipe.train, visible, split.train)

    @property
    def task(self) -> Task:
        """The task itself."""
        return find(self.name)


def labels_of(dataset: Dataset, asked: Asked) -> tuple[str, ...]:
    """What a case has scores of: every class of the dataset, the name of a number, or every channel."""
    if asked.task.kind == "image":
        return dataset.channels
    if asked.task.kind == "number":
        return (asked.task.field,)
    return tuple(sorted({str(case.meta[asked.task.field]) for case in dataset.cases if asked.task.field in case.meta}))


class Measured(NamedTuple):
    """The scores of one case."""

    labels: dict[str, Values]
    fault: str  # why there is no valid prediction; empty where there is one


Measure = Callable[[Match, Case], Measured]
