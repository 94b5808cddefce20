"""Random walker: scribbles become label maps before training."""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from baselines.batch import Batch
from baselines.losses import supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.stages import LabelMap, Seen, Stage
from converters.dataset import IGNORE

_SPREAD = 0.35  # [-0.35, 1.35] becomes [-1, 1], as in the code and in scikit-image's example


class RandomWalker(Method):
    """L = 0.5 (CE + Dice) on the label to which a random walk from each voxel is likeliest to come first.

    Grady, IEEE PAMI 2006, as in WSL4MIS: slice by slice, beta 100. Intensities between the case's 0.5th and 99.5th
    percentile become [0, 1], then (2 I - 1) / 1.7. The system is solved directly, so labels repeat bit for bit.

    Differs from the public code, in which intensities are as stored, so that nearly all of them are clipped to 1, and
    in which a slice that lacks any structure is background all over, scribbles too. Here scribbles always stay; a slice
    with scribbles of the background alone, or without contrast, is walked as its scribbles say: the first is background
    all over, the second stays as drawn. A slice in which nobody drew, or in which one structure alone was drawn, has
    nothing to be told apart by, and stays as it is.

    Limit: dense labels stay as they are, and then it is `supervised` bit for bit.
    """

    paper: ClassVar[str] = "Grady, IEEE PAMI 2006"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    stages: ClassVar[tuple[Stage, ...]] = (Stage("walked", relabel=True),)

    def __init__(self, make: Make, beta: float = 100.0) -> None:
        super().__init__(make)
        self.beta = beta

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `dice`."""
        return supervision(self.logits(batch.image), batch.target)

    def relabel(self, cases: Sequence[Seen]) -> Iterator[LabelMap]:
        """Each slice walked by itself."""
        for case in cases:
            image = np.moveaxis(_scaled(case.image), case.slice_axis + 1, 0)  # (D, C, H, W)
            label = np.moveaxis(case.label, case.slice_axis, 0)
            walked = [_walk(pixels, drawn, self.beta) for pixels, drawn in zip(image, label, strict=True)]
            yield np.ascontiguousarray(np.moveaxis(np.stack(walked), 0, case.slice_axis))


def _scaled(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    axes = tuple(range(1, image.ndim))
    low, high = np.percentile(image, (0.5, 99.5), axis=axes, keepdims=True)
    unit = np.clip((image - low) / np.maximum(high - low, 1e-6), 0, 1)
    return np.asarray((2 * unit - 1) / (1 + 2 * _SPREAD), np.float32)


def _walk(image: npt.NDArray[np.float32], drawn: LabelMap, beta: float) -> LabelMap:
    """One slice. Shape: image (C, H, W), drawn (H, W)."""
    from skimage.segmentation import random_walker

    free = drawn == IGNORE
    codes = np.unique(drawn[~free])
    if not free.any() or not codes.any():  # nothing to find; or background alone, or nothing, was drawn
        return np.where(free & bool(len(codes)), 0, drawn).astype(np.uint8)
    if len(codes) == 1 or image.min() == image.max():  # its weights are relative to the contrast
        return drawn
    seeds = np.where(free, 0, np.searchsorted(codes, drawn) + 1)
    found = random_walker(np.moveaxis(image, 0, -1), seeds, beta=beta, mode="bf", channel_axis=-1)
    # It leaves 0 where it could not tell.
    told = np.where(found > 0, codes[np.maximum(found, 1) - 1], IGNORE)
    return np.where(free, told, drawn).astype(np.uint8)
