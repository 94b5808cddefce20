"""The U-Net of tutorials in Keras, one on lung tumours among them: 16 to 256 channels, dropout 0.1 to 0.3, no norm."""

from collections.abc import Sequence

from torch import nn

from baselines.config import NetSpec
from baselines.halves import Parts
from baselines.network import About, Built
from baselines.unet import Form, fitted

ABOUT = About(paper="Ronneberger et al., MICCAI 2015", ndims=(2,), code="ours")


def build(
    spec: NetSpec,
    parts: Parts,
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    dropout: Sequence[float] = (0.1, 0.1, 0.2, 0.2, 0.3),
) -> Built:
    """ELU, transposed convolutions, a 1 x 1 head; convolutions begin as `he_normal` does (He et al., ICCV 2015).

    `widths` and `dropout`: of each level, finest first; on the way up a level has the dropout that it has on the way
    down. Known of the tutorial is the dropout; all else is that of the Keras code that goes from one to the next, with
    1 941 105 parameters for three channels and one class.
    """
    form = Form(("transposed",), dropouts=tuple(dropout[-2::-1]), activation="elu", head=1, norm="none")
    body, multiple = fitted(spec, parts, (widths, dropout), form)
    for layer in body.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
    return body, multiple
