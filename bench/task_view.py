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


def check_split(task: str, dataset: Dataset, split: Split) -> None:
    """Whether the split tests whom the task can be tested on.

    Raises:
        BenchError: the task needs no label map, and by the split's rule those who have none are not tested; or no test
            subject has the target. Says which split would do.
    """
    if task == LABELS:
        return
    tested = sum(has_target(task, case) for case in dataset.only(split.test).cases)
    everybody = splits.of_everybody(dataset, split)
    if tested and everybody is None:
        return
    everyone = len(dataset.subjects)
    able = len({case.subject for case in dataset.cases if has_target(task, case)})
    what = f"no test subject of split '{split.name}' has what task '{task}' asks for: {able} of {everyone} have it"
    if everybody is not None:
        told = f"{len(split.test)} of {everyone} are tested"
        what = f"split '{split.name}' tests only subjects with a label map, and task '{task}' needs none: {told}"
    names = filter(None, (everybody, "all-60-20-20", "all-50-0-50"))
    fit = next((name for name in names if _fits(task, dataset, splits.resolve(dataset, name))), None)
    mend = f"--split {fit}, which divides all subjects, with or without a label map"
    raise BenchError(what, where=dataset.root, mend=mend if fit else "a split of your own in splits/, or more values")


def _fits(task: str, dataset: Dataset, split: Split) -> bool:
    """Whether some on either side have the target."""
    sides = (split.train, split.test)
    return all(any(has_target(task, case) for case in dataset.only(side).cases) for side in sides)


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
