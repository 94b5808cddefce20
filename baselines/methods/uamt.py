"""Uncertainty-aware mean teacher: consistency where the teacher is certain under noise."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from baselines import ranks
from baselines.batch import Batch
from baselines.losses import supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.teacher import Teacher


class UncertaintyAwareMeanTeacher(Method):
    """L = 0.5 (CE + Dice) + lambda(t) sum M |p_student(x_u) - p_teacher(x_u + noise)|^2 / (2 sum M).

    M = [U < (0.75 + 0.25 r(t)) ln K], U = -sum_c q log q, q the mean softmax of 8 passes of the teacher, each with
    noise and dropout of its own; one more gives p_teacher. Yu et al., MICCAI 2019, in the setting of SSL4MIS: lambda(t)
    = weight * r(t), r the sigmoid ramp over the whole training (published: 0.1 at 30 000 steps), noise and teacher as
    in mean teacher. The student predicts.

    Differs from SSL4MIS: the largest entropy is ln K of K classes, there ln 2 whatever K (PyMIC: ln K); the 8 passes
    are single, there 4 of a doubled batch; the teacher's norm statistics are averaged too. The 2 below the line, the
    number of classes in the paper's task, is kept for any K, as there. Where every image is annotated, the consistency
    is taken over all images.
    """

    paper: ClassVar[str] = "Yu et al., MICCAI 2019"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(
        self, make: Make, weight: float = 0.1, decay: float = 0.99, noise: float = 0.1, passes: int = 8
    ) -> None:
        super().__init__(make)
        self.weight, self.decay, self.noise, self.passes = weight, decay, noise, passes
        self.teacher = Teacher(self.net, make())

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        logits, target, student = self.both(batch)
        image = batch.image[batch.pool()]
        teacher = self.teacher.noisy(image, self.noise)
        certain = self.teacher.certain(image, self.noise, self.passes, progress)
        distance = torch.square(student.softmax(1) - teacher).sum(1)
        apart, voxels = ranks.total((certain * distance).sum(), certain.sum())
        consistency = apart / (2 * voxels).clamp(min=1)
        return {**supervision(logits, target), "consistency": self.weight * ramp_up(progress) * consistency}

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        self.teacher.move(step, self.decay)
