"""BCP: annotated and unannotated images are copied into each other, with the labels of the one and a teacher's."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from baselines.batch import Batch
from baselines.largest import largest_components
from baselines.losses import supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.perturb import central_box
from baselines.stages import Stage
from baselines.teacher import Teacher
from converters.dataset import IGNORE

_LATE = 10**9  # a step at which a teacher's decay no longer rises
Known = tuple[Tensor, Tensor]  # image (B, C, *S), target (B, *S)


class BCP(Method):
    """L = L(u_a around a box of l_a) + L(l_b around a box of u_b), on pairs of images l with and u without labels.

    Each is L_sup = 0.5 (CE + Dice) over the labelled region plus `weight` * L_sup over the other, whose labels are
    those of a moving average of the network: its argmax, of which every class keeps its largest connected part, in 2D
    of a slice. The box has 2/3 of each edge. Bai et al., CVPR 2023, in its setting for ACDC: first the same with labels
    on both sides, one image into another, weight 1 each (10 000 steps), then 30 000 steps as above; decay 0.99, weight
    0.5, batch 12 + 12, which makes 6 pairs; unannotated images wait through the first stage. Here the stages share the
    recipe's steps one to three. The student predicts.

    Differs from the public code: the second stage starts from the last weights of the first, not from those best on
    validation labels, with a fresh optimiser; the learning rate falls in each stage by the recipe's rule (theirs is
    constant on ACDC); both directions go through the network in one pass, so they share the statistics of its norm; the
    box has a place of its own in each image; the parts are found on the device (`largest.py`). In 3D box and parts are
    those of the volume. Where every image is annotated, each half of the batch is the unannotated one of the other.

    Limit: with `box` and `weight` 0 the second stage is `supervised` on the second half of the annotated images.
    """

    paper: ClassVar[str] = "Bai et al., CVPR 2023"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    stages: ClassVar[tuple[Stage, ...]] = (Stage("pretrain", share=0.25), Stage("train", share=0.75))
    one_rank: ClassVar[str] = "it mixes samples of a batch"

    def __init__(self, make: Make, weight: float = 0.5, box: float = 2 / 3, decay: float = 0.99) -> None:
        """`weight`: of the region with pseudo labels; `box`: of each edge."""
        super().__init__(make)
        self.weight, self.box, self.decay = weight, box, decay
        self.teacher = Teacher(self.net, make())

    def enter(self, stage: Stage) -> None:
        """The second stage begins with a teacher that is the student."""
        super().enter(stage)
        if stage.name == "train":
            self.teacher.load_state_dict(self.net.state_dict())

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice` and, in the second stage, `pseudo`."""
        shown = batch.rows(annotated=any(batch.annotated))
        labelled = batch.image[shown], batch.target[shown]
        if self.stage.name == "pretrain":
            return self._first(*labelled)
        return self._second(*labelled, batch.image[batch.pool()])

    def _first(self, image: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The second half of the annotated images, copied into the first."""
        half = max(1, len(image) // 2)
        pairs = max(half, min(2, len(image)))  # two images are each copied into the other: a norm wants more than one
        inner = image.roll(-half, 0)[:pairs], target.roll(-half, 0)[:pairs]
        mixed = self._mixed((image[:pairs], target[:pairs]), inner)
        logits = self.logits(mixed.image)
        return _sum([supervision(logits, mixed.around), supervision(logits, mixed.within)])

    def _second(self, image: Tensor, target: Tensor, pool: Tensor) -> dict[str, Tensor]:
        """The first half of the annotated images copied into unannotated ones, and such ones into the second half."""
        half = max(1, min(len(image), len(pool)) // 2)
        # The last ones first: where both are the same images, none is copied into itself.
        pool = torch.cat((pool[-half:], pool[:half]))
        pseudo = self._pseudo(pool)
        one = self._mixed((pool[:half], pseudo[:half]), (image[:half], target[:half]))
        two = self._mixed((image[-half:], target[-half:]), (pool[half:], pseudo[half:]))
        first, second = self.logits(torch.cat((one.image, two.image))).chunk(2)
        guessed = _sum([supervision(first, one.around), supervision(second, two.within)])
        known = _sum([supervision(first, one.within), supervision(second, two.around)])
        return {**known, "pseudo": self.weight * (guessed["ce"] + guessed["dice"])}

    def after_step(self, step: int) -> None:
        """Move the teacher, in the second stage."""
        if self.stage.name == "train":
            self.teacher.move(_LATE, self.decay)

    @torch.no_grad()
    def _pseudo(self, image: Tensor) -> Tensor:
        logits = self.teacher(image)[0]
        return largest_components(logits.argmax(1), logits.shape[1])

    def _mixed(self, outer: Known, inner: Known) -> "Mixed":
        box = central_box(outer[0], self.box)
        image, box = torch.where(box, inner[0], outer[0]), box[:, 0]
        return Mixed(image, torch.where(box, IGNORE, outer[1]), torch.where(box, inner[1], IGNORE))


class Mixed(NamedTuple):
    """Images that show others in a box, and their target around the box and within it, 255 elsewhere."""

    image: Tensor
    around: Tensor
    within: Tensor


def _sum(terms: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.stack([one[name] for one in terms]).sum() for name in terms[0]}
