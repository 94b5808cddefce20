"""Mean teacher: consistency with an exponential moving average of oneself."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import mean_squared, supervision
from baselines.method import Method
from baselines.nets import Make
from baselines.ramps import ramp_up
from baselines.teacher import Teacher


class MeanTeacher(Method):
    """L = 0.5 (CE + Dice) + lambda(t) mean (p_student(x_u) - p_teacher(x_u + noise))^2.

    Tarvainen and Valpola, NeurIPS 2017, in the segmentation setting of SSL4MIS: lambda(t) = weight * ramp over the
    whole training (published: 0.1 at 30 000 steps), noise clamp(0.1 N(0, 1), -0.2, 0.2) of each image's range,
    teacher decay min(1 - 1 / (step + 1), 0.99) after every step. The student predicts.

    Differs from the public codes: the teacher's norm statistics are averages of the student's, too (there they are
    of its own forwards), and consistency does not wait for a fixed step number. Where every image is annotated, the
    consistency is taken over all images.
    """

    paper: ClassVar[str] = "Tarvainen and Valpola, NeurIPS 2017"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(
        self,
        make: Make,
        weight: float = 0.1,
        decay: float = 0.99,
        noise: float = 0.1,
    ) -> None:
        super().__init__(make)
        self.weight, self.decay, self.noise = weight, decay, noise
        self.teacher = Teacher(self.net, make())

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `consistency`."""
        logits, target, student = self.both(batch)
        image = batch.image[batch.pool()]
        teacher = self.teacher.noisy(image, self.noise)
        return {
            **supervision(logits, target),
            "consistency": self.weight * ramp_up(progress) * mean_squared(student.softmax(1), teacher),
        }

    def after_step(self, step: int) -> None:
        """Move the teacher."""
        self.teacher.move(step, self.decay)
