"""Two networks that label unannotated images for each other."""

from collections.abc import Callable

from torch import Tensor

from baselines.batch import Batch
from baselines.losses import supervision
from baselines.method import Method
from baselines.nets import Network


def taught_mutually(
    method: Method, second: Network, batch: Batch, loss: Callable[[Tensor, Tensor], Tensor], weight: float
) -> dict[str, Tensor]:
    """L_sup of the method's network and of a second one, and a weighted loss of each against the other's classes.

    `loss` takes logits (B, K, *S) and classes (B, *S). Terms `ce`, `dice`, `pseudo`, and `second_` before each.
    """
    logits, target, one = method.both(batch)
    others, _, two = method.both(batch, forward=lambda image: second(image)[0])
    theirs = {**supervision(others, target), "pseudo": weight * loss(two, one.argmax(1))}
    return {
        **supervision(logits, target),
        "pseudo": weight * loss(one, two.argmax(1)),
        **{f"second_{name}": value for name, value in theirs.items()},
    }
