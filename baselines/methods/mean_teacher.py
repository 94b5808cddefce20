"""Mean teacher: consistency with an exponential moving average of oneself."""

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from baselines.batch import Batch
from baselines.losses import mean_squared, supervision
from baselines.method import Method
from baselines.nets import Make


def ramp_up(progress: float) -> float:
    """Sigmoid ramp exp(-5 (1 - t)^2), from 0.0067 at t = 0 to 1 at t = 1 (Laine and Aila, ICLR 2017)."""
    return math.exp(-5 * (1 - min(max(progress, 0.0), 1.0)) ** 2)


class MeanTeacher(Method):
    """L = 0.5 (CE + Dice) + lambda(t) mean (p_student(x_u) - p_teacher(x_u + noise))^2.

    Tarvainen and Valpola, NeurIPS 2017, in the segmentation setting of SSL4MIS: lambda(t) = weight * ramp over the
    whole training (published: 0.1 at 30 000 steps), noise clamp(0.1 N(0, 1), -0.2, 0.2), teacher decay
    min(1 - 1 / (step + 1), 0.99) after every step. The student predicts.

    Differs from the public codes: the teacher's norm statistics are averaged too (they average parameters only, so
    its buffers drift), and consistency does not wait for a fixed step number. Where every image is annotated, the
    consistency is taken over all images.
    """

    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}

    def __init__(
        self,
        make: Make,
        weight: float = 0.1,
        decay: float = 0.99,
        noise: float = 0.1,
    ) -> None:
        super().__init__(make)
        self.weight, self.decay, self.noise = weight, decay, noise
        self.teacher = make()
        self.teacher.load_state_dict(self.net.state_dict())
        self.teacher.requires_grad_(False)

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        logits = self.logits(batch.image)
        pool = batch.rows(annotated=all(batch.annotated))
        image = batch.image[pool]
        with torch.no_grad():
            noise = (torch.randn_like(image) * self.noise).clamp(-2 * self.noise, 2 * self.noise)
            teacher = self.teacher(image + noise)[0].softmax(1)
        return {
            **supervision(logits, batch.target),
            "consistency": self.weight * ramp_up(progress) * mean_squared(logits[pool].softmax(1), teacher),
        }

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the teacher: every float parameter and buffer by the decay, counters copied."""
        decay = min(1 - 1 / (step + 1), self.decay)
        student = self.net.state_dict()
        pairs = [(value, student[name]) for name, value in self.teacher.state_dict().items()]
        averaged = [(value, new) for value, new in pairs if value.is_floating_point()]
        # All at once: on a GPU that is one kernel and not one for each tensor.
        move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        move([value for value, _ in averaged], [new for _, new in averaged], None)
        for value, new in pairs:
            if not value.is_floating_point():
                value.copy_(new)
