"""What a training on a view is to make, and what each of its cases teaches."""

import dataclasses

import msgspec

from baselines import values
from baselines.balance import median_frequency
from baselines.config import NetSpec, TrainConfig
from baselines.grid import faced, typical_spacing
from baselines.method import Method
from baselines.model import ModelSpec, goal_of
from baselines.task import LABELS, find, refused
from converters.dataset import Dataset
from converters.errors import BenchError


def model_spec(view: Dataset, config: TrainConfig, seed: int, task: str = LABELS) -> ModelSpec:
    """What a training on a view makes.

    Raises:
        UsageError: there is no such task.
        BenchError: the task asks for other settings, or a value of the view is of another kind.
    """
    known = values.Known()
    if task != LABELS:
        if reason := refused(task, config):
            raise BenchError(reason)
        known = values.known(view, find(task))
    if config.plane != "stack" and view.file.bench.ndim == 2:
        raise BenchError(f"train.plane = {config.plane}, and these images are pictures", mend="--set train.plane=stack")
    goal = goal_of(task, known, config)
    net = NetSpec(
        config=config.net,
        in_channels=len(view.channels),
        classes=goal.outputs(len(view.channels)) if goal is not None else view.classes,
        patch=config.patch,
        spacing=typical_spacing([faced(case, config).geometry for case in view.cases], config),
        precision=config.precision,
        channels_last=config.channels_last,
        head=goal.head if goal is not None else "voxel",
    )
    return ModelSpec(
        config=config,
        net=net,
        channels=view.channels,
        labels=view.labels,
        seed=seed,
        task=task,
        known=known,
        class_weights=median_frequency(view) if config.class_weights == "median_frequency" else (),
    )


def asked_of(view: Dataset, task: str) -> Dataset:
    """The view without the label maps that another task does not ask for."""
    if task == LABELS:
        return view
    cases = tuple(msgspec.structs.replace(case, label=None) for case in view.cases)
    return dataclasses.replace(view, cases=cases)


def refusal(method: type[Method], spec: ModelSpec, taught: dict[str, float]) -> str | None:
    """Why the method cannot learn what the spec says from such values, or None."""
    goal = spec.goal
    if spec.class_weights and "class weights" not in method.takes:
        return "it has no weights of classes, train.class_weights"
    if goal is None:
        return None
    if goal.task.kind not in method.takes:
        return f"it learns label maps, and not task '{spec.task}'"
    return values.lacks(goal.task, spec.known, len(taught)) if goal.task.kind != "image" else None


def taught_values(view: Dataset, spec: ModelSpec) -> dict[str, float]:
    """What each case teaches, by id, where the task is a value: see `values.targets`; else nothing."""
    goal = spec.goal
    return values.targets(view, goal.task, spec.known) if goal is not None and goal.task.kind != "image" else {}


def annotated(spec: ModelSpec, labelled: int, unlabelled: int) -> tuple[int, int]:
    """Cases that teach what they are asked for, and those that do not: where images are learnt, each teaches itself."""
    images = spec.goal is not None and spec.goal.task.kind == "image"
    return (labelled + unlabelled, 0) if images else (labelled, unlabelled)
