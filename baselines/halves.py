"""An encoder-decoder in two halves: what a network must be to be changed inside, decoded twice or read at scales."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, cast

from torch import Tensor, nn

from converters.errors import BenchError

Change = Callable[[Tensor], Tensor]
Heads = Callable[[int], nn.Module]  # channels -> what makes logits of them


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a method wants of a network beyond one encoder, one decoder, one scale."""

    # A number, or how each goes up: "linear", "transposed", "nearest". But for those of U-Nets of ours, decoders differ
    # in first weights alone.
    decoders: int | tuple[str, ...] = 1
    scales: int = 1  # heads on that many decoder levels, finest first

    @property
    def number(self) -> int:
        """Of decoders."""
        return self.decoders if isinstance(self.decoders, int) else len(self.decoders)


ONE = Parts()


class Body(Protocol):
    """An encoder-decoder in two halves."""

    image_level: bool  # the first of its features is the image itself

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first; a level may have 0 channels.

        Tensors of another number of axes stand for no place (tokens, indices) and follow the levels.
        """

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale, finest first, by one of the decoders; see `headed`."""


class Halves(nn.Module):
    """An encoder, image -> features, and decoders, (features, changes) -> logits of each scale."""

    image_level = False

    def __init__(self, encoder: nn.Module, decoders: Iterable[nn.Module]) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder, *others = decoders
        self.others = nn.ModuleList(others)

    def encode(self, image: Tensor) -> list[Tensor]:
        """Features of each level, finest first."""
        return cast(list[Tensor], self.encoder(image))

    def decode(self, features: Sequence[Tensor], number: int = 0, changes: Sequence[Change] = ()) -> list[Tensor]:
        """Logits of each scale by the decoder of that number."""
        return cast(list[Tensor], [self.decoder, *self.others][number](features, changes))

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S) -> (B, K, *S) and coarser scales."""
        return self.decode(self.encode(image))


class Levels(nn.ModuleList):
    """An encoder whose blocks follow on each other; what each gives is a level."""

    def forward(self, image: Tensor) -> list[Tensor]:
        """Shape: (B, C, *S) -> one (B, C', *S') for each block."""
        found = [image]
        for block in self:
            found.append(block(found[-1]))
        return found[1:]


class Ladder(nn.Module):
    """A decoder whose stages go up from the deepest features, each with what the encoder kept for it.

    `channels` are those that the stages give, deepest first; the last `scales` of them have heads.

    Raises:
        BenchError: more scales than stages.
    """

    def __init__(self, stages: Iterable[nn.Module], channels: Sequence[int], scales: int, head: Heads) -> None:
        super().__init__()
        finest, *coarser = reversed(channels)
        enough(scales, len(channels))
        self.stages = nn.ModuleList(stages)
        self.head = head(finest)
        self.coarse = nn.ModuleList([head(count) for count in coarser[: scales - 1]])

    def forward(self, features: Sequence[Tensor], changes: Sequence[Change] = ()) -> list[Tensor]:
        """One `change` for each scale, finest first, is made to what its head reads."""
        x, found = features[-1], []
        for stage, kept in zip(self.stages, reversed(features[:-1]), strict=True):
            x = stage(x, kept)
            found.append(x)
        return headed([self.head, *self.coarse], found[::-1], changes)


def headed(heads: Sequence[nn.Module], read: Sequence[Tensor], changes: Sequence[Change]) -> list[Tensor]:
    """Logits of each scale, finest first: `read` is what the heads read, after a change for each if there are any."""
    read = read[: len(heads)]
    if changes:
        read = [change(x) for change, x in zip(changes, read, strict=True)]
    return [head(x) for head, x in zip(heads, read, strict=True)]


def enough(scales: int, levels: int) -> None:
    """Refuse more heads than there are levels to put them on.

    Raises:
        BenchError: there are.
    """
    if scales > levels:
        raise BenchError(f"this network has {levels} levels to put heads on, and not {scales}")
