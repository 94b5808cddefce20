"""Cross teaching: a CNN and a transformer, each taught the classes that the other predicts."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import soft_dice
from baselines.method import Method
from baselines.nets import Make
from baselines.pair import taught_mutually
from baselines.ramps import ramp_up


class CrossTeaching(Method):
    """L = sum over both of 0.5 (CE + Dice) + lambda(t) [Dice(f1(x_u), argmax f2(x_u)) + Dice(f2(x_u), argmax f1(x_u))].

    Luo et al., MIDL 2022: lambda(t) = weight * sigmoid ramp over the whole training (published: 0.1 at 30 000 steps of
    8 + 8 slices of 224x224). The first network, that of the recipe, predicts; the transformer is there for training
    only.

    Adapted: the paper's transformer is a Swin-UNet (27 M parameters, of one size of image, from ImageNet). Here it is
    smp's U-Net on a Mix Transformer encoder, `mit_b0` (5.5 M), which takes any size, from scratch; `arch` and `encoder`
    choose another, and `train.net.encoder_weights = "imagenet"` gives it pre-trained weights, also where the first
    network is our U-Net, which has none. smp has no network for volumes, so 3D is refused. Where every image is
    annotated, pseudo labels are taken on all images.
    """

    paper: ClassVar[str] = "Luo et al., MIDL 2022"
    protocols: ClassVar[tuple[str, ...]] = ("semi",)
    composition: ClassVar[Mapping[str, int]] = {"labelled": 1, "unlabelled": 1}
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}

    def __init__(self, make: Make, weight: float = 0.1, arch: str = "Unet", encoder: str = "mit_b0") -> None:
        super().__init__(make)
        self.weight = weight
        self.second = make(change={"arch": arch, "encoder": encoder})

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce`, `dice`, `pseudo`, and of the transformer `second_ce`, `second_dice`, `second_pseudo`."""
        return taught_mutually(self, self.second, batch, soft_dice, self.weight * ramp_up(progress))

    def parameter_groups(self) -> list[dict[str, object]]:
        """One group for each network: clipped apart, as by an optimiser of its own."""
        return [{"params": list(net.parameters())} for net in (self.net, self.second)]

    @classmethod
    def refuses(cls, ndim: int, labelled: int, unlabelled: int) -> str | None:
        """Volumes, and where nothing is annotated."""
        return "its transformer takes slices, not volumes" if ndim == 3 else super().refuses(ndim, labelled, unlabelled)
