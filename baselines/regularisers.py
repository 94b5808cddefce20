"""Regularisers of the scribble literature: what a prediction should be like where nobody drew.

Shape, throughout: p (B, K, *S) softmax; image (B, C, *S) in any units, *S (H, W) or (D, H, W). Each is one number with
a gradient through p alone, over every voxel, annotated or not. Intensities are brought to [0, 1] in each sample and
channel, as the images of WSL4MIS are: what augmentation does to contrast and offset changes no weight.
"""

import itertools
from collections.abc import Iterator
from types import EllipsisType

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor

from baselines.perturb import intensity_range

Cut = tuple[EllipsisType, slice, slice]
_FLAT = 1e-6  # below this a spread of intensities, or the mass of a class, counts as none


def unit(image: Tensor) -> Tensor:
    """Intensities in [0, 1]: (I - min) / (max - min) of each sample and channel; 0 where there is no spread."""
    low, high = intensity_range(image)
    return (image - low) / (high - low).clamp(min=_FLAT)


def total_variation(p: Tensor) -> Tensor:
    """Mean over foreground classes and voxels of relu(dilated(eroded(p)) - eroded(p)), the contour of a soft opening.

    Erosion and dilation are pooling with an edge of 3 voxels in each direction of space, never across classes: PyMIC
    tests the dimension wrongly and pools 2D predictions over three axes, classes among them. WSL4MIS leaves out the
    first sample where it means the background.
    """
    pool = F.max_pool2d if p.ndim == 4 else F.max_pool3d
    eroded = -pool(-p[:, 1:], 3, 1, 1)
    return torch.relu(pool(eroded, 3, 1, 1) - eroded).mean()


def mumford_shah(p: Tensor, image: Tensor, length: float = 1.0) -> Tensor:
    """Sum over classes, channels and voxels of p_c (I - mu_c)^2, plus `length` times that of |grad p_c|; samples' mean.

    mu_c = sum I p_c / sum p_c in each sample; the gradient is that of neighbours along each axis (l1). Kim and Ye, IEEE
    TIP 2020. PyMIC reads its options by names that its parser has lower-cased, so they never change anything.
    """
    misfit, _ = _within(p, unit(image))
    change = torch.stack([p.diff(dim=axis).abs().sum() for axis in range(2, p.ndim)])
    return (misfit.sum() + length * change.sum()) / len(p)


def intensity_variance(p: Tensor, image: Tensor) -> Tensor:
    """Spread of intensity within classes less that between classes, means over samples and channels.

    Within: the mean over classes of SD_c = sqrt(sum p_c (I - mu_c)^2 / sum p_c). Between: the SD over classes of mu_c,
    mu_c = sum I p_c / sum p_c. Every class counts alike, background too. 1e-6 under each root keeps gradients finite.
    """
    misfit, mean = _within(p, unit(image))
    mass = p.flatten(2).sum(-1)[:, :, None].clamp(min=_FLAT)
    within = torch.sqrt(misfit / mass + _FLAT).mean(1)
    between = torch.sqrt((mean - mean.mean(1, keepdim=True)).square().mean(1) + _FLAT)
    return (within - between).mean()


def _within(p: Tensor, image: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over voxels of p_c (I - mu_c)^2, and mu_c. Shape: (B, K, C) each."""
    weights, values = p.flatten(2), image.flatten(2)
    mass = weights.sum(-1)[:, :, None].clamp(min=_FLAT)
    mean = weights @ values.mT / mass
    channels = zip(values.unbind(1), mean.unbind(2), strict=True)
    # One channel at a time: all at once would be the size of K x C images.
    misfit = [(weights * (value[:, None] - mu[:, :, None]).square()).sum(-1) for value, mu in channels]
    return torch.stack(misfit, -1), mean


def gated_crf(p: Tensor, image: Tensor, place: float = 6.0, intensity: float = 0.1, radius: int = 5) -> Tensor:
    """[sum_ij k_ij - sum_c sum_i p_c(i) sum_j k_ij p_c(j)] / N: how much alike voxels in reach are told apart.

    k_ij = exp(-(|x_i - x_j|^2 / place^2 + |I_i - I_j|^2 / intensity^2) / 2) for j != i at most `radius` rows and
    columns away, within the slice; N is the number of voxels of the batch. Obukhov et al., NeurIPS Workshop 2019, eq. 5
    with one kernel, as in WSL4MIS. There neighbours outside the image count as voxels with nothing in them, which adds
    a constant; here there are none.

    Memory is that of a few copies of p: neighbours are gone through offset by offset, each pair once, and what every
    voxel hears from its neighbours, m = k p, gives the gradient -2 m / N by itself, for k is symmetric.
    """
    message, total = _heard(p.detach(), unit(image).detach(), (place, intensity), radius)
    told_apart = total - (2 * p * message - p.detach() * message).sum()
    return told_apart * p.shape[1] / p.numel()


@torch.no_grad()
def _heard(p: Tensor, image: Tensor, scale: tuple[float, float], radius: int) -> tuple[Tensor, Tensor]:
    """Sum over neighbours of k p, and the sum of k over all ordered pairs. Shape: that of p, and ()."""
    message, total = torch.zeros_like(p), p.new_zeros(())
    for (rows, columns), here, there in _pairs(p.shape[-2:], radius):
        unlike = (image[here] - image[there]).square().sum(1, keepdim=True) / scale[1] ** 2
        kernel = torch.exp(-0.5 * (unlike + (rows**2 + columns**2) / scale[0] ** 2))
        message[here].addcmul_(kernel, p[there])
        message[there].addcmul_(kernel, p[here])
        total += 2 * kernel.sum()
    return message, total


def _pairs(plane: torch.Size, radius: int) -> Iterator[tuple[tuple[int, int], Cut, Cut]]:
    """Half of the offsets in a window, and what cuts both ends of each pair out of a (..., H, W) tensor."""
    for rows, columns in itertools.product(range(radius + 1), range(-radius, radius + 1)):
        if (rows, columns) > (0, 0) and rows < plane[0] and abs(columns) < plane[1]:
            left, right = max(0, -columns), max(0, columns)
            first = slice(0, plane[0] - rows), slice(left, plane[1] - right)
            second = slice(rows, plane[0]), slice(right, plane[1] - left)
            yield (rows, columns), (..., *first), (..., *second)
