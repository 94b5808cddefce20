"""Score the predictions of a task: one file, or one a channel, for each case -> CaseScores."""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from baselines.task import Task
from bench.image_score import images, read_channels
from bench.matching import Match, group
from bench.task_asked import Asked
from bench.task_metrics import Values
from bench.value_score import read_value, values
from converters.dataset import Case, Dataset
from converters.errors import BenchError
from converters.files import digest
from converters.volume import data_sha256
from leaderboards.record import CaseScore


def task_matches(predictions: Path, dataset: Dataset, cases: Sequence[Case], task: Task) -> tuple[Match, ...]:
    """Every case with its prediction: `<case>.json`, or `<case>.nii.gz`, with several channels the first of them.

    Raises:
        BenchError: there is no case to score.
    """
    if not cases:
        raise BenchError("there is no case to score", where=dataset.root, mend="a split whose test cases have a value")

    def predicted(case: Case) -> Path | None:
        names = (f"{case.id}.nii.gz", f"{case.id}_0000.nii.gz") if task.kind == "image" else (f"{case.id}.json",)
        return next((path for name in names if (path := predictions / name).is_file()), None)

    def first(case: Case) -> Path:
        return dataset.path(next(iter(case.images.values())).file)

    return tuple(Match(case.id, case.subject, group(case), first(case), predicted(case)) for case in cases)


def task_digests(matches: Iterable[Match], dataset: Dataset, task: Task) -> dict[str, str]:
    """Digest of what is predicted for each case, voxels or values; a case without a readable prediction has none."""
    found = {}
    for match in matches:
        try:
            if task.kind == "image":
                channels = [data_sha256(volume) for volume in read_channels(match, len(dataset.channels))]
                found[match.case] = channels[0] if len(channels) == 1 else digest(channels)
            else:
                found[match.case] = digest(read_value(match))
        except (BenchError, OSError):
            continue
    return found


def score_task(
    matches: Sequence[Match],
    dataset: Dataset,
    asked: Asked,
    progress: Callable[[int], None] | None,
    problems: list[str],
) -> tuple[CaseScore, ...]:
    """Score case after case; `problems` is given a sentence about each prediction that is missing or not valid.

    Raises:
        BenchError: nobody whose value is known trained, or an image is not the one its sidecar describes.
    """
    cases = {case.id: case for case in dataset.cases}
    measure = images(dataset, asked) if asked.task.kind == "image" else values(dataset, asked)
    scores: list[CaseScore] = []
    for match in matches:
        case = cases[match.case]
        measured = measure(match, case)
        if measured.fault:
            problems.append(f"case {match.case}: {measured.fault}; scored as the worst there is")
        scores += [_score(match, case, label, measured.fault, measures) for label, measures in measured.labels.items()]
        if progress:
            progress(1)
    return tuple(scores)


def _score(match: Match, case: Case, label: str, fault: str, measures: Values) -> CaseScore:
    sides = (n * mm for n, mm in zip(case.geometry.shape, case.geometry.spacing_mm, strict=True))
    return CaseScore(
        case=match.case,
        subject=match.subject,
        group=match.group,
        label=label,
        status="invalid" if fault else "ok",
        tp=0,
        fp=0,
        fn=0,
        diagonal_mm=math.hypot(*sides),
        touches_border=False,
        ignored=0,
        metrics=measures,
    )
