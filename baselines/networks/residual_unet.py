"""The residual 3D U-Net of DLTK: units before the activation, strided convolutions, linear interpolation."""

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (the name every torch user knows)
from torch import Tensor, nn

from baselines.config import NetSpec
from baselines.halves import Halves, Ladder, Levels, Parts
from baselines.network import About, Built

ABOUT = About(paper="Pawlowski et al., 2017 (DLTK)", ndims=(3,), code="ours")
_SLOPE = 0.1
Stride = tuple[int, int, int]


def build(
    spec: NetSpec,
    parts: Parts,
    widths: Sequence[int] = (16, 32, 64, 128),
    units: int = 2,
    halve_slices: bool = False,
) -> Built:
    """Defaults: DLTK's example on MRBrainS13, with strides (1, 1, 1) and (1, 2, 2) x 3, slice axis first.

    `units`: of each level. `halve_slices`: strides (2, 2, 2), the defaults of DLTK's function. No layer has a bias.
    As published, units on the way down have a LeakyReLU and those on the way up, which DLTK hands no activation to, the
    ReLU6 of its units; weights begin uniform with a variance of 1 / fan in. DLTK goes up by a transposed convolution
    with fixed linear weights; interpolation differs from that at the border of a patch alone.
    """
    stride: Stride = (2, 2, 2) if halve_slices else (1, 2, 2)
    first = nn.Conv3d(spec.in_channels, widths[0], 3, padding=1, bias=False)
    downs = [
        nn.Sequential(Unit(here, below, stride), *(Unit(below, below) for _ in range(units - 1)))
        for here, below in itertools.pairwise(widths)
    ]
    ups = list(zip(widths[:0:-1], widths[-2::-1], strict=True))

    def decoder() -> nn.Module:
        stages = [_Up(below + here, here, units) for below, here in ups]
        return Ladder(
            stages, widths[-2::-1], parts.scales, lambda channels: nn.Conv3d(channels, spec.classes, 1, bias=False)
        )

    body = Halves(Levels([first, *downs]), (decoder() for _ in range(parts.number)))
    for layer in body.modules():
        if isinstance(layer, nn.Conv3d):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
    return body, tuple(step ** len(downs) for step in stride)


class Unit(nn.Module):
    """(Batch norm, activation, convolution) twice, added to what came in; activation: LeakyReLU, or ReLU6 if `bounded`.

    He et al., ECCV 2016. Where it strides, the first kernel is two strides wide and what is added is max-pooled; where
    it widens, zeros are added on both sides of the channels; where it narrows, a convolution of its own is.
    """

    def __init__(self, before: int, after: int, stride: Stride = (1, 1, 1), *, bounded: bool = False) -> None:
        super().__init__()
        depth, rows, columns = (2 * step if step > 1 else 3 for step in stride)
        self.norms = nn.ModuleList([nn.BatchNorm3d(before), nn.BatchNorm3d(after)])
        self.convs = nn.ModuleList(
            [
                nn.Conv3d(before, after, (depth, rows, columns), stride, padding=1, bias=False),
                nn.Conv3d(after, after, 3, padding=1, bias=False),
            ]
        )
        self.activation = nn.ReLU6() if bounded else nn.LeakyReLU(_SLOPE)
        self.pool = nn.MaxPool3d(stride) if math.prod(stride) > 1 else nn.Identity()
        self.narrow = nn.Conv3d(before, after, 3, padding=1, bias=False) if before > after else nn.Identity()
        more = max(after - before, 0)
        self.pad = (0,) * 6 + (more // 2, more - more // 2)

    def forward(self, x: Tensor) -> Tensor:
        """Shape: (B, C, *S) -> (B, C', *S / stride)."""
        added: Tensor = F.pad(self.narrow(self.pool(x)), self.pad)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = conv(self.activation(norm(x)))
        return x + added


class _Up(nn.Module):
    def __init__(self, before: int, after: int, units: int) -> None:
        super().__init__()
        self.units = nn.Sequential(*(Unit(width, after, bounded=True) for width in (before, *(after,) * (units - 1))))

    def forward(self, x: Tensor, kept: Tensor) -> Tensor:
        """Shape: (B, C, *S) and (B, C', *S'), finer -> (B, C', *S')."""
        x = F.interpolate(x, size=kept.shape[2:], mode="trilinear", align_corners=False)
        found: Tensor = self.units(torch.cat((kept, x), 1))
        return found
