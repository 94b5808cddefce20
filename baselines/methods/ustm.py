"""USTM: a teacher sees the image turned, and is believed where it is certain."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.perturb import Turn
from baselines.ramps import ramp_up
from baselines.teacher import Teacher


class USTM(Method):
    """L = pCE + lambda(t) sum M (R p_student(x) - p_teacher(R x + n))^2 / (2 sum M), R a quarter turn within the slice.

    Liu et al., Pattern Recognition 2022. M is 1 where the entropy of the mean over T = 8 noisy passes of the teacher on
    R x is below (0.75 + 0.25 ramp) ln K. In the setting of WSL4MIS: lambda(t) = weight * ramp over the whole training
    (published: 1 at 60 000 steps), noise clamp(0.1 N(0, 1), -0.2, 0.2) of each image's range, teacher decay
    min(1 - 1 / (step + 1), 0.99). One turn for a batch, 0 to 3 quarters. The student predicts.

    Differs from the public codes: PyMIC's teacher is all zeros after the first step; WSL4MIS has ln 2 whatever the
    number of classes, where ln K is the largest entropy. The norm statistics of the teacher are averaged too.
    """

    paper: ClassVar[str] = "Liu et al., Pattern Recognition 2022"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(
        self, make: Make, weight: float = 1.0, decay: float = 0.99, noise: float = 0.1, passes: int = 8
    ) -> None:
        super().__init__(make)
        self.weight, self.decay, self.noise, self.passes = weight, decay, noise, passes
        self.teacher = Teacher(self.net, make())

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `consistency`."""
        logits = self.logits(batch.image)
        turn = Turn.drawn()
        image = turn(batch.image)
        told = self.teacher.noisy(image, self.noise)
        sure = self.teacher.certain(image, self.noise, self.passes, progress).unsqueeze(1)
        apart = (sure * torch.square(turn(logits.softmax(1)) - told)).sum()
        apart, voxels = ranks.total(apart, sure.sum())
        error = apart / (2 * voxels + 1e-16)
        return {
            "ce": cross_entropy(logits, batch.target),
            "consistency": self.weight * ramp_up(progress) * error,
        }

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        self.teacher.move(step, self.decay)
