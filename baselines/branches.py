"""Two branches on one encoder, of which the second sees perturbed features."""

from torch import Tensor

from baselines.nets import Network
from baselines.perturb import channel_dropout


def branches(net: Network, image: Tensor, dropout: float) -> tuple[Tensor, Tensor]:
    """Logits of both decoders of a network; for the second, channels of all features are dropped.

    The dual-branch network of DMPLS (Luo et al., MICCAI 2022). Shape: (B, C, *S) -> (B, K, *S) each.
    """
    features = net.encode(image)
    perturbed = features.changed(lambda x: channel_dropout(x, dropout))
    return net.decode(features)[0], net.decode(perturbed, 1)[0]
