"""Loaded -> Batch on its device: one fused resampling for image and target, then intensity, batched."""

import functools
import math
from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor

from baselines.batch import Batch, Loaded, Share
from baselines.config import AugmentConfig
from baselines.transfer import sent_together
from converters.dataset import IGNORE

_KNOTS = 6  # of the elastic lattice, along each axis


def augment(loaded: Loaded, config: AugmentConfig, generator: torch.Generator) -> Batch:
    """Random geometry and intensity. The generator lives on the CPU, so a seed means the same on every device.

    What a rotation brings in from outside the patch is not annotated (255) and repeats the edge in the image. Only what
    is drawn crosses to the device, in one copy; what is large is computed there, and nothing is waited for. A rank's
    share of a batch becomes what it is where one process has the whole.
    """
    image, target, share = loaded.image.float(), loaded.target, loaded.share
    shape = image.shape if share is None else torch.Size((len(share.case), *image.shape[1:]))
    numbers = _drawn(shape, config, generator)
    if share is not None:
        numbers = {name: values[list(share.rows)] for name, values in numbers.items()}
    drawn = sent_together(numbers, image.device)
    if _moves(config):
        grid = F.affine_grid(drawn["affine"], [len(image), 1, *image.shape[2:]], align_corners=False)
        if config.elastic:
            grid = grid + _elastic(drawn["lattice"], image.shape[2:], config.elastic)
        image = F.grid_sample(image, grid, mode="bilinear", padding_mode="border", align_corners=False)
        # One is added so that the zeros from outside can be told from background.
        moved = F.grid_sample(target[:, None].float() + 1, grid, mode="nearest", align_corners=False)[:, 0]
        target = torch.where(moved == 0, IGNORE, moved - 1)
    return Batch(
        image=_intensity(image, drawn, share),
        target=target.long(),
        case=loaded.case,
        slice=loaded.slice,
        grid=drawn["affine"],
        trusted=loaded.trusted,
        annotated=loaded.annotated,
        elsewhere=share.elsewhere if share is not None else (),
        value=loaded.value,
    )


def _drawn(shape: torch.Size, config: AugmentConfig, generator: torch.Generator) -> dict[str, Tensor]:
    """All that is random, but the noise itself, for images (B, C, *S); what is not asked for is not drawn.

    Shape: affine (B, n, n + 1); lattice (B, n, knots, ...); gamma, factor, offset, noise (B, C, 1, ...).
    """
    ndim = len(shape) - 2

    def uniform(limit: float) -> Tensor:
        return ((torch.rand(*shape[:2], generator=generator) * 2 - 1) * limit).view(*shape[:2], *[1] * ndim)

    drawn = {"affine": _affine(shape, config, generator)}
    if config.elastic:
        drawn["lattice"] = torch.rand(shape[0], ndim, *[_KNOTS] * ndim, generator=generator) * 2 - 1
    if config.gamma:
        drawn["gamma"] = torch.exp(uniform(math.log1p(config.gamma)))
    if config.contrast:
        drawn["factor"] = 1 + uniform(config.contrast)
        drawn["offset"] = uniform(config.contrast)
    if config.noise:
        drawn["noise"] = uniform(config.noise).abs()
    return drawn


def _moves(config: AugmentConfig) -> bool:
    return any((config.rotate_degrees, config.scale, config.shift, config.flip, config.quarter_turns, config.elastic))


def _affine(shape: torch.Size, config: AugmentConfig, generator: torch.Generator) -> Tensor:
    """Output to input coordinates, torch's order (width, height, depth). Shape: (B, n, n + 1)."""
    batch, ndim = shape[0], len(shape) - 2

    def uniform(*size: int) -> Tensor:
        return torch.rand(*size, generator=generator) * 2 - 1

    angle = torch.deg2rad(uniform(batch) * config.rotate_degrees)
    if config.quarter_turns:
        angle = angle + torch.randint(4, (batch,), generator=generator) * math.pi / 2
    scale = torch.exp(uniform(batch, ndim) * math.log1p(config.scale))
    if config.flip:
        scale[:, :2] *= torch.where(uniform(batch, 2) < 0, -1.0, 1.0)
    matrix = torch.eye(ndim).repeat(batch, 1, 1)
    cosine, sine = angle.cos(), angle.sin()
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 1, 0], matrix[:, 1, 1] = cosine, -sine, sine, cosine
    matrix = matrix * scale[:, None, :]
    # Rotation is rigid in voxels; torch's coordinates run from -1 to 1 along every edge, however long.
    edges = torch.tensor([float(size) for size in reversed(shape[2:])])
    matrix = matrix * edges[None, None, :] / edges[None, :, None]
    return torch.cat((matrix, (uniform(batch, ndim) * config.shift * 2)[..., None]), -1)


def _elastic(lattice: Tensor, shape: Sequence[int], size: float) -> Tensor:
    """A smooth displacement from a coarse lattice, in torch's coordinates. Shape: (B, n, knots, ...) -> (B, *S, n).

    Cubic in 2D, linear in 3D; interpolation is separable, so it is one small matrix product along each axis.
    """
    field = lattice
    for edge in shape:  # contracts the first axis that is left and appends it last: after all, order is restored
        field = torch.tensordot(field, _weights(edge, lattice.device, cubic=len(shape) == 2), dims=([2], [0]))
    return (2 * size * field).movedim(1, -1)


@functools.cache
def _weights(edge: int, device: torch.device, *, cubic: bool) -> Tensor:
    """What each knot of a lattice that spans an axis gives to each voxel. Shape: (knots, edge)."""
    knots = torch.eye(_KNOTS)[None, ..., None]  # (1, channel = knot, position, 1)
    mode = "bicubic" if cubic else "bilinear"
    return F.interpolate(knots, (edge, 1), mode=mode, align_corners=True)[0, :, :, 0].to(device)


def _intensity(image: Tensor, drawn: Mapping[str, Tensor], share: Share | None) -> Tensor:
    """Gamma on the sample's own range, contrast, offset, noise. Shape: (B, C, *S)."""
    axes = tuple(range(2, image.ndim))
    if "gamma" in drawn:
        low, high = image.amin(axes, keepdim=True), image.amax(axes, keepdim=True)
        spread = (high - low).clamp(min=1e-6)
        image = ((image - low) / spread) ** drawn["gamma"] * spread + low
    if "factor" in drawn:
        image = image * drawn["factor"] + drawn["offset"]
    if "noise" in drawn:
        image = image + _normal(image, share) * drawn["noise"]
    return image


def _normal(image: Tensor, share: Share | None) -> Tensor:
    """Standard normal; of a share, what is drawn for these samples where the batch is drawn for as a whole."""
    if share is None:
        return torch.randn_like(image)
    return torch.randn(len(share.case), *image.shape[1:], device=image.device)[list(share.rows)]
