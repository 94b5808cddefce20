"""Partial cross-entropy, and a conditional random field on the prediction."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import cross_entropy
from baselines.method import Method
from baselines.nets import Make
from baselines.regularisers import gated_crf


class GatedCRF(Method):
    """L = pCE + weight * [sum k - sum_c p_c (k * p_c)] / N, k = exp(-(|dx|^2 / place^2 + |dI|^2 / intensity^2) / 2).

    Obukhov et al., NeurIPS Workshop 2019, as in WSL4MIS: weight 0.1, one kernel with place 6 pixels and intensity 0.1,
    radius 5, its centre 0. PyMIC has place 5 and a second kernel of places alone. Intensities are brought to [0, 1] in
    each sample and channel, as they are there in each volume. Within the slice, in 3D too: slices are far apart.
    """

    paper: ClassVar[str] = "Obukhov et al., NeurIPS Workshop 2019"
    protocols: ClassVar[tuple[str, ...]] = ("scribble",)
    reduces: ClassVar[Mapping[str, float] | None] = {"weight": 0.0}
    limit: ClassVar[Mapping[str, float]] = {"ce": 1.0, "dice": 0.0}

    def __init__(
        self, make: Make, weight: float = 0.1, place: float = 6.0, intensity: float = 0.1, radius: int = 5
    ) -> None:
        super().__init__(make)
        self.weight, self.place, self.intensity, self.radius = weight, place, intensity, radius

    def forward(self, batch: Batch, progress: float) -> Mapping[str, Tensor]:
        """Terms `ce` and `crf`."""
        logits = self.logits(batch.image)
        crf = gated_crf(logits.softmax(1), batch.image, self.place, self.intensity, self.radius)
        return {"ce": cross_entropy(logits, batch.target), "crf": self.weight * crf}
