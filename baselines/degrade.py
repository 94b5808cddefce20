"""An image as a coarser scan would show it: what super-resolution starts from, and what it is compared with."""

from torch import Tensor

from baselines.grid import resample


def degraded(image: Tensor, dims: int, factor: int) -> Tensor:
    """The image shrunk `factor` times along each axis of a patch, anti-aliased, and brought back linearly.

    A slice (dims 2) is shrunk in its plane alone. Meant for the case's own grid: on a finer one the same factor would
    take less away. Shape: (C, D, H, W) -> the same; an axis has at least one voxel in between.
    """
    factors = (1,) * (3 - dims) + (factor,) * dims
    size = tuple(image.shape[1:])
    return resample(resample(image, [max(1, round(n / by)) for n, by in zip(size, factors, strict=True)]), size)
