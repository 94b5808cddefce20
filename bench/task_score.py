"""Score predicted values and images: one file for each case -> CaseScores. `docs/tasks.md` has the rules."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from baselines.config import TrainConfig
from baselines.task import Task, find
from bench import task_metrics, task_view
from bench.matching import Match, group
from bench.protocols import Protocol
from bench.recipe import Recipe
from bench.score import aligned
from bench.task_metrics import Values
from converters.dataset import Case, Dataset, Split
from converters.errors import BenchError
from converters.files import Strict, digest, read_json
from converters.volume import Volume, data_sha256, read_nifti
from leaderboards.record import CaseScore
from leaderboards.tasks import SUM

if TYPE_CHECKING:
    from torch import Tensor

Image = npt.NDArray[np.float32]


class Said(Strict):
    """What is predicted of one case, `<case>.json`."""

    task: str
    value: str | float
    probabilities: dict[str, float] = {}  # of every class; empty where the value is a number


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
                channels = [data_sha256(volume) for volume in _read_channels(match, len(dataset.channels))]
                found[match.case] = channels[0] if len(channels) == 1 else digest(channels)
            else:
                found[match.case] = digest(_read(match))
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
    measure = _images(dataset, asked) if asked.task.kind == "image" else _values(dataset, asked)
    scores: list[CaseScore] = []
    for match in matches:
        case = cases[match.case]
        measured = measure(match, case)
        if measured.fault:
            problems.append(f"case {match.case}: {measured.fault}; scored as the worst there is")
        scores += [_score(match, case, label, measured.fault, values) for label, values in measured.labels.items()]
        if progress:
            progress(1)
    return tuple(scores)


class _Measured(NamedTuple):
    labels: dict[str, Values]
    fault: str  # why there is no valid prediction; empty where there is one


_Measure = Callable[[Match, Case], _Measured]


def _score(match: Match, case: Case, label: str, fault: str, values: Values) -> CaseScore:
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
        metrics=values,
    )


def _values(dataset: Dataset, asked: Asked) -> _Measure:
    field, unit = asked.task.field, asked.task.unit
    seen = [case.meta[field] for case in dataset.only(asked.visible).cases if field in case.meta]
    if not seen:
        raise BenchError(f"no training subject has {field}", where=dataset.root)
    if asked.task.kind == "number":
        constant = task_metrics.median([float(value) for value in seen])

        def number(match: Match, case: Case) -> _Measured:
            said, fault = _valid(match, asked, ())
            predicted = None if said is None else float(said.value)
            truth = float(case.meta[field])
            return _Measured({field: task_metrics.of_number(truth, constant, unit, predicted)}, fault)

        return number
    classes = labels_of(dataset, asked)
    guess = task_metrics.most_frequent(map(str, seen))

    def sorted_out(match: Match, case: Case) -> _Measured:
        said, fault = _valid(match, asked, classes)
        predicted = None if said is None else (str(said.value), said.probabilities)
        truth = str(case.meta[field])
        return _Measured({label: task_metrics.of_class(truth, label, guess, predicted) for label in classes}, fault)

    return sorted_out


def _valid(match: Match, asked: Asked, classes: Sequence[str]) -> tuple[Said | None, str]:
    """The prediction, or None and what is wrong with it."""
    try:
        said = _read(match)
    except (BenchError, OSError) as error:
        return None, error.what if isinstance(error, BenchError) else f"{error.strerror}"
    fault = f"of task '{said.task}'" if said.task != asked.name else _fault(said, classes)
    return (None, fault) if fault else (said, "")


def _fault(said: Said, classes: Sequence[str]) -> str:
    if not classes:
        number = isinstance(said.value, float | int) and math.isfinite(said.value)
        return "" if number and not said.probabilities else f"'{said.value}' is no number"
    p = said.probabilities
    if strange := sorted({str(said.value), *p} - set(classes)):
        return f"{', '.join(strange)}: not of {', '.join(classes)}"
    if not all(0 <= value <= 1 for value in p.values()) or abs(math.fsum(p.values()) - 1) > SUM:
        return "its probabilities are no shares that add up to 1"
    return "" if p.get(str(said.value)) == max(p.values()) else f"{said.value} is not its most probable class"


def _read(match: Match) -> Said:
    if match.prediction is None:
        raise BenchError("there is no prediction", mend=f"write {match.case}.json")
    return read_json(match.prediction, Said)


def _images(dataset: Dataset, asked: Asked) -> _Measure:
    from baselines.grid import to_case

    against = asked.task.against
    mean_on = _mean_image(dataset, asked) if against == "mean_image" else None

    def measure(match: Match, case: Case) -> _Measured:
        image = _normalised(dataset, case, asked.train)
        other = _coarse(image, asked) if mean_on is None else mean_on(case)
        reference, compared = (
            [np.asarray(to_case(channel.numpy(), case.geometry), np.float32) for channel in tensor]
            for tensor in (image, other)
        )
        found, fault = _pictures(match, case, len(reference))
        labels = {
            channel: task_metrics.of_image(reference[i], compared[i], against, found[i] if found else None)
            for i, channel in enumerate(case.images)
        }
        return _Measured(labels, fault)

    return measure


def _pictures(match: Match, case: Case, channels: int) -> tuple[list[Image], str]:
    """The predicted channels on the grid of the case, or none and what is wrong with them."""
    x, y, z = case.geometry.shape
    grid = Volume(np.broadcast_to(np.float32(0), (x, y, z)), np.array(case.geometry.affine))
    try:
        found = [aligned(grid, volume).array.astype(np.float32) for volume in _read_channels(match, channels)]
    except (BenchError, OSError) as error:
        return [], error.what if isinstance(error, BenchError) else f"{error.strerror}"
    return (found, "") if all(np.isfinite(image).all() for image in found) else ([], "numbers that are not finite")


def _read_channels(match: Match, channels: int) -> Iterator[Volume]:
    if match.prediction is None:
        raise BenchError("there is no prediction", mend=f"write {match.case}.nii.gz")
    folder = match.prediction.parent
    for number in range(channels):
        yield read_nifti(match.prediction if channels == 1 else folder / f"{match.case}_{number:04d}.nii.gz")


def _normalised(dataset: Dataset, case: Case, train: TrainConfig) -> "Tensor":
    """The case as a network reads it, on its own grid. Shape: (C, D, H, W)."""
    from baselines.cache import read_image
    from baselines.grid import normalise

    return normalise(read_image(dataset, case), train.window, train.intensity)


def _coarse(image: "Tensor", asked: Asked) -> "Tensor":
    from baselines.degrade import degraded

    return degraded(image, len(asked.train.patch), asked.task.factor)


def _mean_image(dataset: Dataset, asked: Asked) -> Callable[[Case], "Tensor"]:
    """The mean of the training images, on the grid of a case: voxel for voxel, each first brought to one size."""
    import torch

    from baselines.grid import network_axes, resample

    cases = dataset.only(asked.training).cases
    size = [max(case.geometry.shape[network_axes(case.geometry)[i]] for case in cases) for i in range(3)]
    total = torch.zeros(1)
    for case in cases:
        total = total + resample(_normalised(dataset, case, asked.train), size)

    def on(case: Case) -> "Tensor":
        return resample(total / len(cases), [case.geometry.shape[axis] for axis in network_axes(case.geometry)])

    return on
