"""Cross pseudo supervision: two networks, each taught the classes that the other predicts."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.pair import taught_mutually
from baselines.ramps import ramp_up


class CrossPseudoSupervision(Method):
    """L = sum over both of 0.5 (CE + Dice) + lambda(t) [CE(f1(x_u), argmax f2(x_u)) + CE(f2(x_u), argmax f1(x_u))].

    Two networks that differ in their initial weights. Chen et al., CVPR 2021, in the setting of SSL4MIS: lambda(t) =
    weight * sigmoid ramp over the whole training (published: 0.1 at 30 000 steps). The first network predicts, the
    second is there for training only (PyMIC predicts by the mean of both).

    Differs from the paper, as SSL4MIS does: pseudo labels on unannotated images only, without CutMix, and a ramp in
    place of 1.5 throughout. Where every image is annotated, pseudo labels are taken on all images.
    """

    paper: ClassVar[str] = "Chen et al., CVPR 2021"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(self, make: Make, weight: float = 0.1) -> None:
        super().__init__(make)
        self.weight = weight
        self.second = make()

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `pseudo`, and of the second network `second_ce`, `second_dice`, `second_pseudo`."""
        return taught_mutually(self, self.second, batch, cross_entropy, self.weight * ramp_up(progress))

    def parameter_groups(self) -> list[dict[str, object]]:
        """One group for each network: clipped apart, as by an optimiser of its own."""
        return [{"params": list(net.parameters())} for net in (self.net, self.second)]
