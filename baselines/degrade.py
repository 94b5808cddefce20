"""An image as a coarser scan would show it: what super-resolution starts from, and what it is compared with."""

from collections.abc import Sequence

import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor

from baselines.grid import resample


def degraded(image: Tensor, dims: int, factor: int, starts: Sequence[int] = (0, 0, 0)) -> Tensor:
    """The image shrunk `factor` times along each axis of a patch, anti-aliased, and brought back linearly.

    A coarse voxel is `factor` fine ones whatever the shape: beyond the image its edge values go on until the last one
    is whole, and before it for the `starts` voxels of the first one that are not in the image. A slice (dims 2) is
    shrunk in its plane alone. Meant for the case's own grid: on a finer one the same factor would take less away.

    Shape: (C, D, H, W) -> the same.
    """
    factors = (1,) * (3 - dims) + (factor,) * dims
    axes = list(zip(starts, image.shape[1:], factors, strict=True))
    pads = [(start, -(start + edge) % by) for start, edge, by in axes]
    wide = F.pad(image, [n for pad in reversed(pads) for n in pad], mode="replicate")
    size = wide.shape[1:]
    coarse = resample(wide, [edge // by for edge, by in zip(size, factors, strict=True)])
    inner = tuple(slice(start, start + edge) for start, edge, _ in axes)
    return resample(coarse, size)[(slice(None), *inner)]
