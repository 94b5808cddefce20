"""Several processes that share each batch: who this one is, sums over all of them, and its share of what is drawn.

With one process everything here is the identity, and numbers are those of a program that knows of no ranks.
With several, a training minimises the mean over ranks of what each of them computes: a loss that is a mean over the
samples of a batch is exact by that alone, for shares are equal; one that is a ratio of sums takes them by `total`.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def count() -> int:
    """How many processes share a batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return dist.get_rank() if count() > 1 else 0


def leads() -> bool:
    """Whether this is the one that writes."""
    return rank() == 0


def rows(batch: int, parts: int, of: int) -> tuple[int, ...]:
    """The numbers of the samples of a batch that a rank has, in its order.

    Part number p of a batch is every `parts`-th sample from p on (`Batch.part`), here as with one process; of each part
    a rank has every `count()`-th sample from its own number on. So each rank has the mix of the batch, and part p of
    what a rank has is its share of part p of the batch.
    """
    every = parts * count()
    return tuple(n % parts + of * parts + n // parts * every for n in range(batch // count()))


def total(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Sums over all ranks, with gradients: what a loss that is no mean over samples is made of.

    All at once: the tensors have one shape. To be called alike on every rank.
    """
    if count() == 1:
        return tensors
    summed: Tensor = _Summed.apply(torch.stack(tensors))
    return summed.unbind()


class _Summed(torch.autograd.Function):
    """What each rank computes from a sum depends on what every rank put into it: gradients are summed as well."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        summed = values.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(summed)
        return summed

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return _Summed.forward(context, gradient)


def mean(values: Tensor) -> Tensor:
    """Mean over the elements of all ranks, of which some may have more than others, or none."""
    if count() == 1:
        return values.mean()
    summed, elements = total(values.sum(), values.new_tensor(values.numel()))
    return summed / elements


def room(like: Tensor) -> Tensor:
    """A tensor for the samples of all ranks, laid out as this one is for those of this rank; with one, the same.

    Its values mean nothing: it is there for `randn_like` and its kind.
    """
    if count() == 1:
        return like
    dense = torch.empty_like(like)
    size = (len(like) * count(), *like.shape[1:])
    return torch.empty_strided(size, dense.stride(), dtype=like.dtype, device=like.device)


def mine(drawn: Tensor) -> Tensor:
    """The share of this rank in what was drawn for all samples: what one process would have drawn for these.

    That holds where every rank has as many samples as the others, and all have drawn the same before.
    """
    return drawn if count() == 1 else drawn[rank() :: count()]


def averaged(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each term's mean over ranks, without a gradient: the terms of the batch."""
    if count() == 1:
        return dict(terms)
    values = torch.stack([value.detach().reshape(()) for value in terms.values()]) / count()
    dist.all_reduce(values)
    return dict(zip(terms, values.unbind(), strict=True))


def some(flag: bool) -> bool:
    """Whether it is so on any rank. Waits for all of them, not for a GPU."""
    if count() == 1:
        return flag
    found = torch.tensor(int(flag))
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def told(number: int) -> int:
    """The number of rank 0. Waits for all, not for a GPU."""
    if count() == 1:
        return number
    found = torch.tensor(number)
    dist.broadcast(found, 0)
    return int(found)


def meet() -> None:
    """Wait until every rank is here."""
    some(False)


@contextlib.contextmanager
def first() -> Iterator[None]:
    """The block is run by rank 0, and then by the others, which find what it has made.

    Where it fails on rank 0 the others never come to it: whoever started the ranks ends them.
    """
    if not leads():
        meet()
    yield
    if leads():
        meet()
