"""UniMatch: sure predictions for a weak view teach two strong views and one of perturbed features."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines.batch import Batch
from baselines.losses import soft_dice, supervision
from baselines.method import Method
from baselines.nets import Features, Make
from baselines.perturb import box, channel_dropout, strong
from converters.dataset import IGNORE


class UniMatch(Method):
    """L = (1 - w) L_sup + w [ 0.25 Dice(s1, y1) + 0.25 Dice(s2, y2) + 0.5 Dice(f, y) ], w = 0.5.

    y is the class that the network gives the weak view x, 255 where its probability is below `confidence`; f is the
    prediction for x from features of which half of the channels are dropped, on all learnt levels; s1, s2 are those for
    two strong views: jitter and blur, then CutMix with another unannotated image, of which y1, y2 hold the pseudo
    labels and the confidence within the box. Yang et al., CVPR 2023, in the setting of its code for ACDC: confidence
    0.95, soft Dice alone on pseudo labels, no ramp, pseudo labels of the other image by the network in eval mode
    (published: 300 passes over the unannotated slices, batch 12 + 12 + 12). The network predicts.

    The share of unannotated images is a double one: its second half is what the first is mixed with. Differs from the
    public code: features are perturbed in a pass of the decoder of their own, of the unannotated images alone; the
    jitter keeps to the range of each image, as intensities here have no fixed black and white; nothing is selected on
    test patients. In 3D, which is not published, the box goes through all slices. Where every image is annotated,
    all are taken as if they were not. Where nothing is sure the terms are 0.
    """

    paper: ClassVar[str] = "Yang et al., CVPR 2023"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 2}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    one_rank: ClassVar[str] = "it mixes samples of a batch"

    def __init__(self, make: Make, weight: float = 0.5, confidence: float = 0.95) -> None:
        super().__init__(make)
        self.weight, self.confidence = weight, confidence

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `strong`, `features`."""
        pool = batch.image[batch.pool()]
        half = max(1, len(pool) // 2)
        weak, other = pool[:half], pool[-half:]
        logits, target, perturbed, known = self._weak(batch, weak)
        mixed, targets = self._strong((weak, other), (known, self._settled(other)))
        strong1, strong2 = self.net(mixed)[0].chunk(2)
        dice = soft_dice(strong1, targets[:half]) + soft_dice(strong2, targets[half:])
        return {
            **supervision(logits, target, 0.5 * (1 - self.weight), 0.5 * (1 - self.weight)),
            "strong": self.weight * 0.25 * dice,
            "features": self.weight * 0.5 * soft_dice(perturbed, self._sure(known)),
        }

    def _weak(self, batch: Batch, weak: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Logits and target of the supervised, logits from perturbed features of the weak view, what is known of it."""
        encoded: list[Features] = []

        def forward(image: Tensor) -> Tensor:
            encoded.append(self.net.encode(image))
            return self.net.decode(encoded[-1])[0]

        logits, target, plain = self.both(batch, weak, forward)
        features = encoded[-1].rows(slice(-len(weak), None)).changed(channel_dropout)
        return logits, target, self.net.decode(features)[0], _known(plain)

    @torch.no_grad()
    def _settled(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """What the network in eval mode knows of an image."""
        before = self.net.training
        self.net.eval()
        found = _known(self.net(image)[0])
        self.net.train(before)
        return found

    def _strong(
        self, images: tuple[Tensor, Tensor], known: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Two strong views of the first image with a box of the second, one after the other, and their targets."""
        views, targets = [], []
        for _ in range(2):
            inside = box(images[0])
            views.append(torch.where(inside, strong(images[1]), strong(images[0])))
            mixed = [torch.where(inside[:, 0], there, here) for here, there in zip(*known, strict=True)]
            targets.append(self._sure((mixed[0], mixed[1])))
        return torch.cat(views), torch.cat(targets)

    def _sure(self, known: tuple[Tensor, Tensor]) -> Tensor:
        """The pseudo label, 255 where it is not sure enough."""
        probability, label = known
        return torch.where(probability >= self.confidence, label, IGNORE)


def _known(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest probability and its class, as constants. Shape: (B, K, *S) -> (B, *S), (B, *S) int64."""
    probability, label = logits.detach().softmax(1).max(1)
    return probability, label
