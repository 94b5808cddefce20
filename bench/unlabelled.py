"""Another dataset's cases, added to a view without their labels."""

from collections.abc import Iterable
from pathlib import Path

import msgspec

from converters import disclosure
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import safe_id
from converters.volume import RUNS


def check(dataset: Dataset, others: Dataset) -> None:
    """Whether the cases of `others` may be trained on beside those of `dataset`.

    Raises:
        BenchError: the channels are others, one is flat and the other not, or the people could be the same.
    """
    if reason := _refusal(dataset, others):
        raise BenchError(
            f"{others.name} cannot join {dataset.name} without labels: {reason}",
            mend=f"take {_instead(dataset, others)}, or leave --unlabelled out",
        )


def _refusal(dataset: Dataset, others: Dataset) -> str:
    here, there = _channels(dataset), _channels(others)
    if others.file.bench.parent is not None:
        return "it is a view"
    if here != there:
        told, wanted = (", ".join(f"{name} ({modality})" for name, modality in one) for one in (there, here))
        return f"its channels are {told}, not {wanted}"
    if dataset.file.bench.ndim != others.file.bench.ndim:
        return f"it is {others.file.bench.ndim}D, not {dataset.file.bench.ndim}D"
    if dataset.file.bench.source.collection == others.file.bench.source.collection:
        return "it is of the same collection, so its images may be of people who are tested on"
    seen = {image.data_sha256 for case in dataset.cases for image in case.images.values()}
    same = sum(any(image.data_sha256 in seen for image in case.images.values()) for case in others.cases)
    return f"{same} of its cases have images that are in {dataset.name}" if same else ""


def _channels(dataset: Dataset) -> list[tuple[str, str]]:
    """By what channels of two datasets are taken for the same."""
    return [(channel.name, channel.modality) for channel in dataset.file.bench.channels]


def _instead(dataset: Dataset, others: Dataset) -> str:
    """What would do; where some channels are in both, the datasets with these alone."""
    shared = [channel for channel in _channels(dataset) if channel in _channels(others)]
    unlike = [one.name for one in (dataset, others) if _channels(one) != shared]
    if not shared or not unlike or others.file.bench.parent is not None:
        return f"a dataset like {dataset.name}"
    names = ",".join(name for name, _ in shared)
    return f"{' and '.join(unlike)} converted with --channels {names}, which both have"


def notices(view: Dataset) -> list[str]:
    """That slices of the cases that joined run along another axis: a network meets what is in them turned."""
    joined = view.file.bench.parent.protocol.get("unlabelled") if view.file.bench.parent else None
    theirs, own = (
        _runs(case for case in view.cases if case.id.startswith(f"{joined}-") == they) for they in (True, False)
    )
    if not theirs or theirs == own:
        return []
    return [
        f"slices of {joined} run {theirs}, those of {view.name} {own}: a network sees the former turned, "
        "unless --set train.plane cuts all cases alike"
    ]


def _runs(cases: Iterable[Case]) -> str:
    """Where slices of these cases run, as "right-left or foot-head"; "" where there is no case."""
    return " or ".join(RUNS[axis] for axis in sorted({case.geometry.slice_axis for case in cases}))


def facts(others: Dataset) -> dict[str, str | int | float]:
    """What a view says of them."""
    return {
        "unlabelled": others.name,
        "unlabelled_sha256": others.file.bench.content_sha256,
        "unlabelled_cases": len(others.cases),
    }


def sidecars(others: Dataset, out: Path) -> tuple[Case, ...]:
    """Every case as the view in `out` describes it, named `<dataset>-<case>`: ids of two datasets may be alike.

    Raises:
        BenchError: a name becomes too long.
    """
    return tuple(
        disclosure.sidecar(
            msgspec.structs.replace(
                case,
                id=safe_id(f"{others.name}-{case.id}", where=others.root),
                subject=safe_id(f"{others.name}-{case.subject}", where=others.root),
            ),
            None,
            others.root,
            out,
        )
        for case in others.cases
    )
