"""What a view shows where no label map is learnt: the values of those subjects that may show them, or images alone."""

from pathlib import Path

import msgspec

from baselines.task import LABELS, find
from bench import splits
from bench.annotator import who_draws
from bench.protocols import Protocol
from converters import disclosure
from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError
from converters.files import digest


def check(task: str, protocol: Protocol) -> None:
    """Whether the protocol says anything of such a target.

    Raises:
        UsageError: there is no such task.
        BenchError: the target is a value, and the protocol is about how label maps are drawn.
    """
    if task != LABELS and find(task).kind != "image" and protocol.annotator != "dense":
        raise BenchError(
            f"protocol '{protocol.name}' says how label maps are drawn, and task '{task}' has none",
            mend="--protocol full, or semi10 for the values of 10 % of the subjects",
        )


def has_target(task: str, case: Case) -> bool:
    """Whether there is something to score a prediction for this case against."""
    if task == LABELS:
        return case.label is not None
    found = find(task)
    return found.kind == "image" or found.field in case.meta


def values_sha256(dataset: Dataset, task: str) -> list[str]:
    """Digest of the values that are the target of a task, those of every case; nothing where it has none.

    The content hash leaves them out.
    """
    field = find(task).field if task != LABELS else ""
    return [digest([[case.id, case.meta.get(field)] for case in dataset.cases])] if field else []


def shown(dataset: Dataset, split: Split, protocol: Protocol, draw: int | str, task: str) -> tuple[str, ...]:
    """The training subjects whose label or value is visible, in draw order; none where images are the target.

    The share of a protocol is one of the training subjects that have a value. Reads no file.

    Raises:
        UsageError: the draw is unknown, or there is no such task.
        BenchError: no training subject has a value, the protocol is about label maps, or the dataset has not what its
            annotator needs.
    """
    check(task, protocol)
    if task == LABELS:
        who_draws(dataset, protocol)
        return splits.labelled(split, protocol.percent, draw)
    if find(task).kind == "image":
        return ()
    return splits.labelled(_pool(dataset, split, task), protocol.percent, draw)


def sidecars(dataset: Dataset, split: Split, visible: tuple[str, ...], task: str, out: Path) -> tuple[Case, ...]:
    """Every training case as the view in `out` describes it: no label map, and of its facts the value at most."""
    field = find(task).field

    def meta(case: Case) -> dict[str, str | float]:
        return {field: case.meta[field]} if case.subject in visible and field in case.meta else {}

    cases = dataset.only(split.train).cases
    return tuple(disclosure.sidecar(case, None, dataset.root, out, meta(case)) for case in cases)


def facts(
    dataset: Dataset, split: Split, protocol: Protocol, draw: int | str, task: str
) -> dict[str, str | int | float]:
    """What the view says of itself; of the values that it shows a digest.

    Raises:
        UsageError, BenchError: see `shown`.
    """
    visible, image = shown(dataset, split, protocol, draw, task), find(task).kind == "image"
    pool = len((split if image else _pool(dataset, split, task)).train)
    told: dict[str, str | int | float] = {
        "protocol": protocol.name,
        "version": protocol.version,
        "annotator": "none" if image else "recorded",
        "percent": protocol.percent,
        "draw": draw,
        "split": split.name,
        "split_sha256": digest(split),
        "training_subjects": pool,
        "labelled_subjects": len(visible),
        "real_percent": round(100 * len(visible) / pool, 2),
        "task": task,
    }
    values = disclosure.values_sha256(sidecars(dataset, split, visible, task, dataset.root))
    return told if image else told | {"values_sha256": values}


def _pool(dataset: Dataset, split: Split, task: str) -> Split:
    """The split with those of its training subjects who have a value."""
    having = {case.subject for case in dataset.only(split.train).cases if has_target(task, case)}
    return msgspec.structs.replace(split, train=tuple(subject for subject in split.train if subject in having))
