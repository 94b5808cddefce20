"""Connected components on the device: no value is read on the host, so a GPU is never waited for."""

import torch
from torch import Tensor


@torch.no_grad()
def largest_components(labels: Tensor, classes: int, rounds: int | None = None) -> Tensor:
    """Labels of which every foreground class keeps its largest connected part in each sample; the rest becomes 0.

    Shape: (B, *S) int64, codes below `classes` -> the same. Voxels that share a face, an edge or a corner are
    neighbours. Of parts of one size the one that comes first in memory order stays.

    There is no "until nothing changes" where no value is read: `rounds` are gone through, by default as many as the
    number of voxels of a sample has bits. Half of them do for anatomical shapes, all but one or two for the longest
    spiral that fits; what rounds too few leave apart counts as several parts.
    """
    voxels = labels[0].numel()
    foreground = torch.arange(1, classes, device=labels.device).view(-1, *[1] * (labels.ndim - 1))
    mask = labels[:, None] == foreground  # (B, K - 1, *S)
    part = _parts(mask, voxels.bit_length() if rounds is None else rounds)
    inside = mask.flatten()
    size = torch.zeros_like(part, dtype=torch.int64).scatter_add_(0, part[:-1], inside.long())
    rank = torch.where(inside, size[part[:-1]] * len(part) - part[:-1], -1).view(*mask.shape[:2], voxels)
    keep = (rank == rank.amax(2, keepdim=True)) & (rank >= 0)
    return torch.where(keep.any(1).view_as(labels), labels, 0)


def _parts(mask: Tensor, rounds: int) -> Tensor:
    """For each voxel the number of its part, which is the place of the part's first voxel; outside all, n.

    Shape: (B, K, *S) bool of n voxels -> (n + 1,) int64; the last is n itself.
    FastSV (Zhang, Azad and Hu, SIAM PP 2020): every voxel points to one of its part; in each round what it points to,
    and the voxel, turn to the smallest that a neighbour's pointer points to, and paths are halved.
    """
    n = mask.numel()
    points = torch.arange(n + 1, device=mask.device)
    outside = ~mask
    points[:-1].masked_fill_(outside.flatten(), n)
    for _ in range(rounds):
        further = points.index_select(0, points)
        near = _smallest_near(further[:-1].view_as(mask)).masked_fill_(outside, n).flatten()
        points = torch.minimum(points.scatter_reduce(0, points[:-1], near, "amin"), further)
        points[:-1] = torch.minimum(points[:-1], near)
    return points


def _smallest_near(numbers: Tensor) -> Tensor:
    """The smallest of each voxel and its neighbours. Shape: (B, K, *S) -> the same."""
    for axis in range(2, numbers.ndim):
        pairs = numbers.shape[axis] - 1
        smaller = torch.minimum(numbers.narrow(axis, 0, pairs), numbers.narrow(axis, 1, pairs))
        numbers = numbers.clone()
        numbers.narrow(axis, 0, pairs).copy_(smaller)
        after = numbers.narrow(axis, 1, pairs)
        torch.minimum(after, smaller, out=after)
    return numbers
