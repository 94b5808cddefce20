"""What is learnt of an image besides a label map: a value that a case's facts hold, or another image. No torch here."""

from typing import Literal, NamedTuple

from baselines import tasks
from baselines.config import TrainConfig
from converters import shelf

LABELS = "labels"  # the task of every recipe that names none: a label map


class Task(NamedTuple):
    """What the target of a task is; `docs/tasks.md` says how each is predicted and scored."""

    kind: Literal["class", "number", "image"]
    field: str = ""  # class, number: the key of `Case.meta` that holds the target
    unit: str = ""  # number: what it is counted in; part of the names of its metrics
    against: Literal["", "linear", "mean_image"] = ""  # image: what a prediction is compared with
    factor: int = 1  # image: by how much the input is coarser along each axis of a patch


def names() -> list[str]:
    """Every task besides `labels`: the files of `baselines/tasks/`."""
    return shelf.stems(tasks)


def find(name: str) -> Task:
    """The task of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    found = shelf.module(tasks, "task", name).TASK
    assert isinstance(found, Task)
    return found


def refused(name: str, config: TrainConfig) -> str | None:
    """Why the task cannot be learnt with these settings, or None.

    Raises:
        UsageError: there is no such task.
    """
    if name == LABELS:
        return None
    if find(name).factor > 1 and config.grid != "native":
        return f"task '{name}' is scored on every case's own voxels: set train.grid to native"
    if config.class_weights != "none":
        return f"task '{name}' has no labels for train.class_weights to weigh"
    return None
