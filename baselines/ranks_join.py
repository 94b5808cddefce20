"""How a process becomes one of several ranks, what they refuse to share, and what it says when one of them is gone."""

import contextlib
import datetime
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.distributed as dist

from baselines import ranks
from baselines.config import TrainConfig
from baselines.method import Method
from baselines.sampler import shares
from converters.errors import BenchError, EnvironmentFault, UsageError

GONE = "another rank has gone"  # which is not why a run ended
MEET = "BENCH_MEET"  # a file by which ranks on one machine find each other; without it, as torchrun says
# Rank 0 alone draws labels anew, predicts and scores, and that may take hours. A rank that has died is noticed at once.
_PATIENCE = datetime.timedelta(days=2)


def several(environment: Mapping[str, str]) -> bool:
    """Whether this process was started as one of several ranks, by `bench run --ranks` or by torchrun."""
    return "RANK" in environment and environment.get("WORLD_SIZE", "1") not in ("", "1")


@contextlib.contextmanager
def joined(device: str) -> Iterator[str]:
    """Meet the other ranks, if this process is one of several, and leave together; the device of this one.

    Raises:
        EnvironmentFault: fewer GPUs than ranks on this machine, or another rank has gone.
        UsageError: one GPU for all of them was asked for.
    """
    if not several(os.environ):
        yield device
        return
    local = int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
    own = device if device == "cpu" else one_each(device, local + 1)[local]
    if own != "cpu":
        torch.cuda.set_device(torch.device(own))
    meet = os.environ.get(MEET)
    with noticing():
        dist.init_process_group(
            "gloo" if own == "cpu" else "cpu:gloo,cuda:nccl",
            init_method=Path(meet).absolute().as_uri() if meet else "env://",
            rank=int(os.environ["RANK"]),
            world_size=int(os.environ["WORLD_SIZE"]),
            timeout=_PATIENCE,
        )
        yield own
        ranks.meet()  # who has nothing to write waits for who has: whoever watches them sees one end
    dist.destroy_process_group()


def one_each(device: str, count: int) -> list[str]:
    """A GPU of this machine for each of so many ranks.

    Raises:
        EnvironmentFault: there are fewer.
        UsageError: a certain one was asked for.
    """
    if device not in ("auto", "cuda"):
        raise UsageError(f"several ranks take a GPU each, not '{device}'", mend="--device cuda, or cpu")
    if count > torch.cuda.device_count():
        raise EnvironmentFault(
            f"{count} ranks want a GPU each, and there are {torch.cuda.device_count()}", mend="fewer --ranks"
        )
    return [f"cuda:{number}" for number in range(count)]


@contextlib.contextmanager
def noticing() -> Iterator[None]:
    """An error of torch's that says that another rank cannot be reached becomes one that a person can read.

    Raises:
        EnvironmentFault: that.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise EnvironmentFault(
            GONE, mend="see why it ended; the same command goes on from the last checkpoint"
        ) from error


def check(method: type[Method], config: TrainConfig, count: int) -> None:
    """Refuse what so many ranks cannot share so that losses are those of one process.

    Raises:
        BenchError: the method cannot, the number of parts is open, or ranks would have unlike samples.
    """
    if method.one_rank:
        raise BenchError(
            f"{config.method} takes one process to a batch: {method.one_rank}", mend="run it without --ranks"
        )
    if config.accumulate == "auto":
        raise BenchError(
            "in how many parts a batch is computed cannot be found out by several ranks",
            mend="--set train.accumulate=2, or another number, in place of --auto-batch",
        )
    found, every = shares(config.batch, method.composition), count * config.accumulate
    if any(share % every for share in found):
        raise BenchError(
            f"{every} does not divide each share of a batch: {', '.join(map(str, found))} samples",
            where=f"{count} ranks, train.accumulate = {config.accumulate}",
            mend="other --ranks or another train.batch",
        )
