"""Teacher: the exponential moving average of a network."""

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import get_ema_multi_avg_fn

from baselines.losses import entropy
from baselines.nets import Network
from baselines.perturb import teacher_noise
from baselines.ramps import ramp_up


class Teacher(Network):
    """A network that follows a student and learns no gradient. Its weights are named as the student's are.

    Averages float buffers, the norm's statistics, as well as parameters; counters are copied, and no forward of its own
    moves a statistic. Most public codes average parameters only, so that the statistics are those of its own forwards.
    Tarvainen and Valpola, NeurIPS 2017.
    """

    def __init__(self, student: Network, fresh: Network) -> None:
        """`fresh`, a network of the student's kind, becomes the teacher, with the weights of the student.

        It is no deep copy: what a body keeps of itself, a hook or a compiled half, would go on meaning the student's.
        """
        super().__init__(fresh.body, fresh.multiple, fresh.precision, fresh.memory_format != torch.preserve_format)
        self.load_state_dict(student.state_dict())
        self.requires_grad_(False)
        for layer in self.modules():
            if isinstance(layer, _BatchNorm):
                layer.momentum = 0.0  # of the running statistics: they are the average of the student's
        # Where each pair of tensors is kept, found once, and no tensors: a move to a device puts new ones there.
        self._pairs = []
        found = {id(tensor): path for path, tensor in self.state_dict(keep_vars=True).items()}  # a shared one once
        for path in found.values():
            owner, _, name = path.rpartition(".")
            self._pairs.append((self.get_submodule(owner), student.get_submodule(owner), name))

    @torch.no_grad()
    def noisy(self, image: Tensor, sd: float) -> Tensor:
        """Its softmax of the image with `teacher_noise`, drawn anew each time. Shape: (B, C, *S) -> (B, K, *S)."""
        logits: Tensor = self(image + teacher_noise(image, sd))[0]
        return logits.softmax(1)

    @torch.no_grad()
    def certain(self, image: Tensor, sd: float, passes: int, progress: float) -> Tensor:
        """1 where the entropy of the mean of that many noisy passes, over log K, is below 0.75 + 0.25 ramp; else 0.

        Yu et al., MICCAI 2019 (UA-MT). Shape: (B, *S) float32.
        """
        mean = self.noisy(image, sd) / passes  # added up: passes are many, and in 3D each is large
        for _ in range(passes - 1):
            mean += self.noisy(image, sd) / passes
        return (entropy(mean) < 0.75 + 0.25 * ramp_up(progress)).float()

    @torch.no_grad()
    def move(self, step: int, decay: float) -> None:
        """After a step: a <- d a + (1 - d) student, d = min(1 - 1 / (step + 1), decay). At step 0 it is the student."""
        pairs: list[tuple[Tensor, Tensor]] = [(getattr(old, at), getattr(new, at)) for old, new, at in self._pairs]
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        # All at once: on a GPU that is one kernel and not one for each tensor.
        average = get_ema_multi_avg_fn(min(1 - 1 / (step + 1), decay))  # type: ignore[no-untyped-call]
        average([old for old, _ in averaged], [new for _, new in averaged], None)
        for old, new in pairs:
            if not old.is_floating_point():
                old.copy_(new)
