"""MONAI's DynUNet, shaped by the patch and its spacing in the way of nnU-Net."""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from baselines.config import NetSpec
from baselines.halves import Halves, Ladder, Levels, Parts
from baselines.network import About, Built, needed
from baselines.unet import pooling
from converters.errors import BenchError

ABOUT = About(paper="Isensee et al., Nature Methods 2021", ndims=(2, 3), code="MONAI")
_FINE = 2  # an axis whose spacing is so many times the finest, or more, is not convolved along yet


def build(
    spec: NetSpec,
    parts: Parts,
    widths: Sequence[int] = (32, 64, 128, 256, 320, 320),
    residual: bool = False,
) -> Built:
    """Instance norm, LeakyReLU, strided convolutions, transposed ones on the way up, no dropout.

    `widths`: of nnU-Net in 3D; levels at which no axis can be halved any more are left out. `residual`: blocks as in
    Optimized U-Net (Futrega et al., 2021). Kernels are 1 along an axis until its spacing is less than twice the finest,
    and 3 from there on and at the deepest level, as in nnU-Net. They are 3 also where an axis is first halved: should
    the finest axis be too thin for halving, nnU-Net would step over every second voxel of the others. What nnU-Net does
    beyond the network (deep supervision is there for methods that ask for scales) is not part of it.
    """
    strides = [stride for stride in pooling(spec.patch, spec.spacing, len(widths)) if max(stride) > 1]
    if len(strides) < 2:
        raise BenchError(
            f"dynunet needs patches that can be halved twice, and not {list(spec.patch)}", mend="a larger train.patch"
        )
    ndim, levels = len(spec.patch), [(1,) * len(spec.patch), *strides]
    nets, blocks = (needed(f"monai.networks.{name}", "monai") for name in ("nets", "blocks.dynunet_block"))

    def head(channels: int) -> nn.Module:
        made: nn.Module = blocks.UnetOutBlock(ndim, channels, spec.classes)
        return made.apply(nets.DynUNet.initialize_weights)

    def make() -> Any:
        return nets.DynUNet(
            spatial_dims=ndim,
            in_channels=spec.in_channels,
            out_channels=spec.classes,
            kernel_size=_kernels(spec.spacing, levels),
            strides=levels,
            upsample_kernel_size=strides,
            filters=list(widths),
            res_block=residual,
        )

    all_ = [make() for _ in range(parts.number)]
    encoder = Levels([all_[0].input_block, *all_[0].downsamples, all_[0].bottleneck])
    decoders = (Ladder(one.upsamples, one.filters[-2::-1], parts.scales, head) for one in all_)
    return Halves(encoder, decoders), tuple(math.prod(axis) for axis in zip(*levels, strict=True))


def _kernels(spacing: Sequence[float], levels: Sequence[Sequence[int]]) -> list[list[int]]:
    """Of each level: an axis that has come to 3 or is halved stays there, and all have at the deepest."""
    step, found = list(spacing), []
    reached = [False] * len(step)
    for stride in levels:
        step = [mm * s for mm, s in zip(step, stride, strict=True)]
        near = [mm < _FINE * min(step) for mm in step]
        reached = [done or fine or by > 1 for done, fine, by in zip(reached, near, stride, strict=True)]
        found.append([3 if done else 1 for done in reached])
    return [*found[:-1], [3] * len(step)]
