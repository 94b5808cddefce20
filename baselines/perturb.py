"""Perturbations of images and of features, batched, in 2D and 3D: what consistency is asked under.

Every number comes from torch's global generators (the loop seeds them at each step), every choice is a tensor, so a GPU
is never waited for. Of several ranks each draws for the whole batch and keeps what is for its own samples.
Shape: (B, C, *S) in and out, in the precision of the input; in 3D the slice axis comes first.
"""

import dataclasses

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor

from baselines import ranks


def intensity_range(image: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest intensity of each sample and channel. Shape: (B, C, *S) -> twice (B, C, 1, ...)."""
    axes = tuple(range(2, image.ndim))
    return image.amin(axes, keepdim=True), image.amax(axes, keepdim=True)


def teacher_noise(image: Tensor, sd: float = 0.1) -> Tensor:
    """Noise to be added to what a teacher sees: n = (max - min) clamp(sd N(0, 1), -2 sd, 2 sd). Shape: the image's.

    Tarvainen and Valpola, NeurIPS 2017, in the form of SSL4MIS, whose images are in [0, 1]: its `sd` is a share of the
    range, here that of each sample and channel, whatever the unit of intensities.
    """
    low, high = intensity_range(image)
    return (high - low) * (ranks.mine(torch.randn_like(ranks.room(image))) * sd).clamp(-2 * sd, 2 * sd)


def jittered(image: Tensor, brightness: float = 0.5, contrast: float = 0.5, p: float = 0.8) -> Tensor:
    """Colour jitter of grey images: x -> low + f (x - low) and x -> mean + g (x - mean), in random order.

    f is uniform in 1 +- brightness, g in 1 +- contrast; both, the order, and with probability 1 - p no change at all,
    are drawn for each sample. `low` and `high` are each channel's own range, which nothing leaves: an intensity here
    has no fixed black and white. FixMatch (Sohn et al., NeurIPS 2020) and UniMatch (Yang et al., CVPR 2023), without
    the hue and saturation that grey images do not have.
    """
    axes = tuple(range(2, image.ndim))
    low, high = intensity_range(image)
    bright = _uniform(image, max(0.0, 1 - brightness), 1 + brightness).to(image.dtype)
    sharp = _uniform(image, max(0.0, 1 - contrast), 1 + contrast).to(image.dtype)

    def brightened(x: Tensor) -> Tensor:
        return torch.clamp(low + bright * (x - low), low, high)

    def contrasted(x: Tensor) -> Tensor:
        mean = x.mean(axes, keepdim=True)
        return torch.clamp(mean + sharp * (x - mean), low, high)

    changed = torch.where(_chosen(image, 0.5), contrasted(brightened(image)), brightened(contrasted(image)))
    return torch.where(_chosen(image, p), changed, image)


def blurred(image: Tensor, low: float = 0.1, high: float = 2.0, p: float = 0.5) -> Tensor:
    """Gaussian blur within each slice, SD uniform in [low, high] voxels, of each sample with probability p.

    Not across slices, which may be thick. At the edge the kernel is cut and normalised again. UniMatch (Yang et al.,
    CVPR 2023), FixMatch's blur.
    """
    sd = _uniform(image, low, high).reshape(-1, 1, 1)
    rows, columns = (_gaussian(edge, sd).to(image.dtype) for edge in image.shape[-2:])
    slices = image.reshape(len(image), -1, *image.shape[-2:])
    smooth = rows[:, None] @ slices @ columns[:, None].mT
    return torch.where(_chosen(image, p), smooth.view_as(image), image)


def strong(image: Tensor) -> Tensor:
    """The photometric strong view of FixMatch and UniMatch for medical images: jitter 0.5 p 0.8, then blur p 0.5."""
    return blurred(jittered(image))


def box(image: Tensor, low: float = 0.02, high: float = 0.4, p: float = 0.5) -> Tensor:
    """A box in each sample: true inside; true nowhere with probability 1 - p. Shape: (B, 1, *S) bool.

    Its share of the area is uniform in [low, high], its aspect in [0.3, 1 / 0.3] as far as it then fits, its place
    anywhere; in 3D it goes through all slices. The CutMix box of UniMatch (Yang et al., CVPR 2023), whose code draws
    again until a box fits, which makes oblong ones rarer.
    """
    area = _uniform(image, low, high)
    flat, steep = area.clamp(min=0.3), (1 / area).clamp(max=1 / 0.3)
    aspect = flat + (steep - flat) * _uniform(image)
    depth = [torch.ones_like(area)] * (image.ndim - 4)
    return _inside(image, [*depth, (area * aspect).sqrt(), (area / aspect).sqrt()]) & _chosen(image, p)


def central_box(image: Tensor, share: float = 2 / 3) -> Tensor:
    """A box with `share` of every edge in each sample, anywhere: true inside. Shape: (B, 1, *S) bool.

    BCP (Bai et al., CVPR 2023): its mask M is 0 inside and 1 around. Its code draws one place for a batch.
    """
    return _inside(image, [torch.full_like(_uniform(image), share)] * (image.ndim - 2))


def cutout(image: Tensor, p: float = 0.5) -> Tensor:
    """With a `box` in each sample set to each channel's mean. DeVries and Taylor 2017, in FixMatch."""
    return torch.where(box(image, p=p), image.mean(tuple(range(2, image.ndim)), keepdim=True), image)


@dataclasses.dataclass(frozen=True)
class Turn:
    """Quarter turns within the slice, the last two axes, after a flip: for images, targets and logits alike.

    One for a whole batch. An odd number of them swaps the two edges.
    """

    quarters: int
    flip: bool = False

    @classmethod
    def drawn(cls, *, flip: bool = False) -> "Turn":
        """0 to 3 quarters, each alike; where asked for, a flip with probability 0.5. Drawn on the CPU."""
        quarters = torch.randint(4, (1,)).tolist()[0]
        return cls(quarters, torch.rand(1).tolist()[0] < 0.5 if flip else False)

    def __call__(self, x: Tensor) -> Tensor:
        """Turned. Shape: (..., H, W) -> (..., H, W) or (..., W, H)."""
        return torch.rot90(x.flip(-1) if self.flip else x, self.quarters, (-2, -1))

    def back(self, x: Tensor) -> Tensor:
        """What undoes it: `turn.back(turn(x))` is x."""
        x = torch.rot90(x, -self.quarters, (-2, -1))
        return x.flip(-1) if self.flip else x


def feature_noise(x: Tensor, limit: float = 0.3) -> Tensor:
    """F-Noise of CCT: x + x n, n uniform in [-limit, limit] for each channel and place, alike for all samples.

    Ouali et al., CVPR 2020.
    """
    noise = torch.rand(x.shape[1:], device=x.device) * (2 * limit) - limit
    return x + x * noise.to(x.dtype)


def feature_dropout(x: Tensor, low: float = 0.7, high: float = 0.9) -> Tensor:
    """F-Drop of CCT: x where A < u max A and 0 elsewhere; A is the mean over channels, u uniform in [low, high].

    Drops the most active places. u and the maximum are those of each sample; the public code draws one u for a batch.
    Ouali et al., CVPR 2020.
    """
    with torch.no_grad():
        attention = x.mean(1, keepdim=True, dtype=torch.float32)
        threshold = attention.amax(tuple(range(1, x.ndim)), keepdim=True) * _uniform(x, low, high)
        keep = attention < threshold
    return x * keep.to(x.dtype)


def channel_dropout(x: Tensor, p: float = 0.5) -> Tensor:
    """Each channel of each sample 0 with probability p, else times 1 / (1 - p), also where the network is in eval mode.

    Tompson et al., CVPR 2015; the feature perturbation of UniMatch and of the auxiliary branch of DMPLS.
    """
    drop = F.dropout2d if x.ndim == 4 else F.dropout3d
    if ranks.count() == 1:
        return drop(x, p)
    ones = x.new_ones(len(x) * ranks.count(), x.shape[1], *[1] * (x.ndim - 2))
    return x * ranks.mine(drop(ones, p))


def value_dropout(x: Tensor, p: float = 0.5) -> Tensor:
    """Each value 0 with probability p, else times 1 / (1 - p), also where the network is in eval mode."""
    if ranks.count() == 1:
        return F.dropout(x, p)
    return x * ranks.mine(F.dropout(torch.ones_like(ranks.room(x)), p))


def _uniform(like: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """One number for each sample. Shape: (B, 1, 1, ...) float32."""
    drawn = torch.rand(len(like) * ranks.count(), *[1] * (like.ndim - 1), device=like.device)
    return ranks.mine(drawn) * (high - low) + low


def _chosen(like: Tensor, p: float) -> Tensor:
    """Whether each sample is, with probability p. Shape: (B, 1, 1, ...) bool."""
    return _uniform(like) < p


def _gaussian(edge: int, sd: Tensor) -> Tensor:
    """What each voxel of an axis takes from each other. Shape: (B, 1, 1) -> (B, edge, edge) float32, rows sum to 1."""
    place = torch.arange(edge, device=sd.device)
    return torch.softmax(-((place[:, None] - place) ** 2) / (2 * sd**2), -1)


def _inside(image: Tensor, shares: list[Tensor]) -> Tensor:
    """A box in each sample of so much of each edge, whole voxels, placed uniformly. Shape: (B, 1, *S) bool."""
    inside = torch.ones(len(image), *[1] * (image.ndim - 1), dtype=torch.bool, device=image.device)
    for axis, share in enumerate(shares, 2):
        edge = image.shape[axis]
        length = (share * edge + 1e-4).floor()  # a third of 3 thirds is not below 1
        start = ((edge - length + 1) * _uniform(image)).floor()
        place = torch.arange(edge, device=image.device).view(-1, *[1] * (image.ndim - 1 - axis))
        inside = inside & (place >= start) & (place < start + length)
    return inside
