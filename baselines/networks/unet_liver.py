"""The U-Net of a tutorial on the liver in CHAOS: 64 to 1024 channels, dropout 0.2."""

from collections.abc import Sequence

from baselines.config import NetSpec
from baselines.halves import Parts
from baselines.network import About, Built
from baselines.unet import Form, fitted

ABOUT = About(paper="Ronneberger et al., MICCAI 2015", ndims=(2,), code="ours")


def build(
    spec: NetSpec, parts: Parts, widths: Sequence[int] = (64, 128, 256, 512, 1024), dropout: float = 0.2
) -> Built:
    """The widths of the paper, here with padded convolutions and with batch norm.

    Known of the study are the widths and the dropout. That it is between the two convolutions of every block, batch
    norm, ReLU, transposed convolutions and a 1 x 1 head are what PyTorch codes of its kind have.
    """
    form = Form(("transposed",), dropouts=(dropout,) * (len(widths) - 1), activation="relu", head=1)
    return fitted(spec, parts, (widths, (dropout,) * len(widths)), form)
