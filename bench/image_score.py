"""Score predicted images: one NIfTI file for each channel of a case -> scores. `docs/tasks.md` has the rules."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from baselines.config import TrainConfig
from bench import task_metrics
from bench.matching import Match
from bench.score import aligned
from bench.task_asked import Asked, Measure, Measured
from converters.dataset import Case, Dataset
from converters.errors import BenchError, what_of
from converters.volume import Volume, read_nifti

if TYPE_CHECKING:
    from torch import Tensor

Image = npt.NDArray[np.float32]


def images(dataset: Dataset, asked: Asked) -> Measure:
    """Scores a case by its predicted channels.

    Raises:
        BenchError: an image is not the one its sidecar describes.
    """
    from baselines.grid import faced

    against = asked.task.against
    mean_on = _mean_image(dataset, asked) if against == "mean_image" else None

    def measure(match: Match, case: Case) -> Measured:
        # As a network is given it: which axes of the image are those of a patch decides what a coarser one is.
        seen = faced(case, asked.train)
        image = _normalised(dataset, seen, asked.train)
        reference = _on_case(image, seen)
        compared = _on_case(_coarse(image, asked), seen) if mean_on is None else mean_on(case)
        found, fault = _pictures(match, case, len(reference))
        labels = {
            channel: task_metrics.of_image(reference[i], compared[i], against, found[i] if found else None)
            for i, channel in enumerate(case.images)
        }
        return Measured(labels, fault)

    return measure


def _on_case(image: "Tensor", case: Case) -> list[Image]:
    """Shape: (C, D, H, W) in network axes -> C times (X, Y, Z)."""
    from baselines.grid import to_case

    return [np.asarray(to_case(channel.numpy(), case.geometry), np.float32) for channel in image]


def _pictures(match: Match, case: Case, channels: int) -> tuple[list[Image], str]:
    """The predicted channels on the grid of the case, or none and what is wrong with them."""
    x, y, z = case.geometry.shape
    grid = Volume(np.broadcast_to(np.float32(0), (x, y, z)), np.array(case.geometry.affine))
    try:
        found = [aligned(grid, volume).array.astype(np.float32) for volume in read_channels(match, channels)]
    except (BenchError, OSError) as error:
        return [], what_of(error)
    return (found, "") if all(np.isfinite(image).all() for image in found) else ([], "numbers that are not finite")


def read_channels(match: Match, channels: int) -> Iterator[Volume]:
    """The predicted channels of a case.

    Raises:
        BenchError: there is no prediction, or a file cannot be read.
    """
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


def _mean_image(dataset: Dataset, asked: Asked) -> Callable[[Case], list[Image]]:
    """The mean of the training images, on the grid of a case: voxel for voxel, each first brought to one size.

    Along the axes of the uniform format, which are RAS+ in all cases, however each was stacked.
    """
    import torch

    from baselines.grid import faced, resample

    ras = msgspec.structs.replace(asked.train, plane="sagittal")  # whose network axes are those of the file
    cases = dataset.only(asked.training).cases
    size = [max(case.geometry.shape[axis] for case in cases) for axis in range(3)]
    total = torch.zeros(1)
    for case in cases:
        total = total + resample(_normalised(dataset, faced(case, ras), asked.train), size)

    def on(case: Case) -> list[Image]:
        return _on_case(resample(total / len(cases), case.geometry.shape), faced(case, ras))

    return on
