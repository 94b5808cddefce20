"""Another dataset's cases, added to a view without their labels."""

from pathlib import Path

import msgspec

from converters import disclosure
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import safe_id


def check(dataset: Dataset, others: Dataset) -> None:
    """Whether the cases of `others` may be trained on beside those of `dataset`.

    Raises:
        BenchError: the channels are others, one is flat and the other not, or the people could be the same.
    """
    mend = f"take a dataset like {dataset.name}, or leave --unlabelled out"
    if reason := _refusal(dataset, others):
        raise BenchError(f"{others.name} cannot join {dataset.name} without labels: {reason}", mend=mend)


def _refusal(dataset: Dataset, others: Dataset) -> str:
    here, there = (
        [f"{channel.name} ({channel.modality})" for channel in one.file.bench.channels] for one in (dataset, others)
    )
    if others.file.bench.parent is not None:
        return "it is a view"
    if here != there:
        return f"its channels are {', '.join(there)}, not {', '.join(here)}"
    if dataset.file.bench.ndim != others.file.bench.ndim:
        return f"it is {others.file.bench.ndim}D, not {dataset.file.bench.ndim}D"
    if dataset.file.bench.source.collection == others.file.bench.source.collection:
        return "it is of the same collection, so its images may be of people who are tested on"
    seen = {image.data_sha256 for case in dataset.cases for image in case.images.values()}
    same = sum(any(image.data_sha256 in seen for image in case.images.values()) for case in others.cases)
    return f"{same} of its cases have images that are in {dataset.name}" if same else ""


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
