"""Interpolation consistency: the prediction of a mixture is the mixture of predictions."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Gamma

from baselines.batch import Batch
from baselines.losses import mean_squared, supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.teacher import Teacher


class InterpolationConsistency(Method):
    """L = 0.5 (CE + Dice) + lambda(t) mean (p_student((1-a) u + a v) - [(1-a) p_teacher(u) + a p_teacher(v)])^2.

    u from the first and v from the second half of the unannotated images, a ~ Beta(0.2, 0.2) for each pair. Verma et
    al., IJCAI 2019, in the setting of SSL4MIS: lambda(t) = weight * sigmoid ramp over the whole training (published:
    0.1 at 30 000 steps), teacher as in mean teacher, without noise. The student predicts; it sees mixtures in place of
    unannotated images.

    Differs from SSL4MIS: the teacher predicts u and v in one pass, and its norm statistics are averaged too. Of an odd
    number the middle image is in both halves. Where every image is annotated, all images are mixed.
    """

    paper: ClassVar[str] = "Verma et al., IJCAI 2019"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    one_rank: ClassVar[str] = "it mixes images of a batch with each other"

    def __init__(self, make: Make, weight: float = 0.1, decay: float = 0.99, alpha: float = 0.2) -> None:
        super().__init__(make)
        self.weight, self.decay, self.alpha = weight, decay, alpha
        self.teacher = Teacher(self.net, make())

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        image = batch.image[batch.pool()]
        half = (len(image) + 1) // 2
        # Beta(a, a) of two gammas, without the check that would read the values.
        alpha = torch.full((2, half, *[1] * (image.ndim - 1)), self.alpha, device=image.device)
        one, other = Gamma(alpha, torch.ones_like(alpha), validate_args=False).sample()
        share = one / (one + other)

        def mixed(x: Tensor) -> Tensor:
            return torch.lerp(x[:half], x[len(x) - half :], share)

        logits, target, student = self.both(batch, pool=mixed(image))
        with torch.no_grad():
            teacher = mixed(self.teacher(image)[0].softmax(1))
        return {
            **supervision(logits, target),
            "consistency": self.weight * ramp_up(progress) * mean_squared(student.softmax(1), teacher),
        }

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        self.teacher.move(step, self.decay)
