"""MC-Net: decoders that go up in different ways teach each other by sharpened predictions."""

from collections.abc import Mapping
from functools import partial
from itertools import permutations
from typing import ClassVar

import torch
from torch import Tensor

from baselines.batch import Batch
from baselines.losses import mean_squared, sharpen, supervision_of
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from converters.errors import UsageError

WAYS = ("linear", "transposed", "nearest")  # up, of our U-Net


class MCNet(Method):
    """L = sum_n L_sup(n) + lambda(t) sum_(i != j) mean (p_i - sharpen(p_j))^2, over decoders n, i, j and all images.

    sharpen(p) = p^(1/T) / sum_c p^(1/T), a constant. Wu et al., MICCAI 2021 (MC-Net: two decoders) and Medical Image
    Analysis 2022 (MC-Net+: three, the default here): one encoder, decoders that differ in the way they go up: linear
    interpolation, transposed convolution, nearest voxel. T = 0.1, lambda(t) = weight * ramp over the whole training
    (published: 0.1 at 30 000 steps). The first decoder predicts, as in the authors' code.

    Differs from the public codes: no gradient goes through the sharpened prediction, which is a pseudo label; it is
    sharpened over all classes, so that it stays a distribution (theirs, p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), is the
    same for two classes alone); L_sup is 0.5 (CE + Dice) as everywhere here (theirs, in 2D: 0.5 Dice). On networks of
    segmentation-models-pytorch the decoders differ in their weights only: adapted. On a GPU, linear interpolation has
    no deterministic gradient.
    """

    paper: ClassVar[str] = "Wu et al., Medical Image Analysis 2022"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"decoders": 1}

    def __init__(self, make: Make, weight: float = 0.1, temperature: float = 0.1, decoders: int = 3) -> None:
        """With one decoder, the recipe's, it is `supervised`.

        Raises:
            UsageError: there are not so many ways up.
        """
        if not 1 <= decoders <= len(WAYS):
            raise UsageError(f"mcnet has 1 to {len(WAYS)} decoders, not {decoders}")
        super().__init__(partial(make, decoders=WAYS[:decoders] if decoders > 1 else 1))
        self.weight, self.temperature, self.decoders = weight, temperature, decoders

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice` and, with more than one decoder, `consistency`."""
        heads, target, unlabelled = self.both(batch, forward=self.heads)
        terms = supervision_of(heads, target, [1.0] * self.decoders)
        if self.decoders > 1:
            # In one pass the supervised images are all there are.
            everything = heads if len(heads) == len(batch.image) else torch.cat((heads, unlabelled))
            p = everything.softmax(2)
            pseudo = sharpen(p.detach().movedim(2, 1), self.temperature).movedim(1, 2)
            apart = [mean_squared(p[:, i], pseudo[:, j]) for i, j in permutations(range(self.decoders), 2)]
            terms["consistency"] = self.weight * ramp_up(progress) * torch.stack(apart).sum()
        return terms

    def heads(self, image: Tensor) -> Tensor:
        """Logits of each decoder. Shape: (B, C, *S) -> (B, decoders, K, *S)."""
        features = self.net.encode(image)
        return torch.stack([self.net.decode(features, number)[0] for number in range(self.decoders)], 1)
