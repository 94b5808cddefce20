"""Networks whose batch is shared by several ranks: statistics and dropout masks of all samples, averaged gradients."""

import contextlib
import inspect
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from baselines import ranks
from baselines.config import TrainConfig
from baselines.method import Method
from baselines.perturb import value_dropout
from converters.errors import BenchError


def share(method: Method, device: torch.device) -> None:
    """Make the layers that see a batch as a whole see that of all ranks, in place. With one rank, nothing.

    Weights keep their names and places: a checkpoint or a model is the same from any number of ranks.

    Raises:
        BenchError: a layer that nobody has said this of.
    """
    if ranks.count() == 1:
        return
    for name, layer in method.named_modules():
        if isinstance(layer, _BatchNorm):
            if type(layer) not in _NORMS:
                raise BenchError(
                    f"{type(layer).__name__} has statistics of one rank's samples alone",
                    where=f"layer {name}",
                    mend="train with one rank, or another network",
                )
            # torch's own has the faster kernels, and on a GPU alone.
            shared = nn.SyncBatchNorm if device.type == "cuda" else _NORMS[type(layer)]
            layer.__class__ = shared  # type: ignore[assignment]
            layer.process_group = torch.distributed.group.WORLD  # type: ignore[assignment]
        elif type(layer) is nn.Dropout:
            layer.__class__ = _SharedDropout


class _SharedDropout(nn.Dropout):
    """Dropout with the masks that one process draws for these samples."""

    def forward(self, x: Tensor) -> Tensor:
        return value_dropout(x, self.p) if self.training and self.p else x


class _SharedNorm(_BatchNorm):
    """Batch norm over the samples of all ranks; in eval mode, as ever."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = (0, *range(2, x.ndim))
        own = x.numel() // x.shape[1]
        variance, mean = torch.var_mean(x, axes, correction=0) if own else (x.sum(axes), x.sum(axes))
        # In float64: of squares, too little is left where a mean is far from 0.
        variance, mean = variance.double(), mean.double()
        voxels, mean, square = ranks.total(torch.full_like(mean, own), own * mean, own * (variance + mean.square()))
        mean, square = mean / voxels, square / voxels
        variance = square - mean.square()
        self._remember(mean.detach(), (variance * voxels / (voxels - 1)).detach())
        shape = (1, -1, *[1] * (x.ndim - 2))
        scale, mean = torch.rsqrt(variance + self.eps).to(x.dtype), mean.to(x.dtype)
        return (x - mean.view(shape)) * (scale * self.weight).view(shape) + self.bias.view(shape)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for kept, now in ((self.running_mean, mean), (self.running_var, variance)):
            kept.lerp_(now.to(kept.dtype), momentum)


class _SharedNorm2d(_SharedNorm, nn.BatchNorm2d):
    pass


class _SharedNorm3d(_SharedNorm, nn.BatchNorm3d):
    pass


_DDP = inspect.signature(DistributedDataParallel.__init__)
_NORMS: dict[type[nn.Module], type[nn.Module]] = {nn.BatchNorm2d: _SharedNorm2d, nn.BatchNorm3d: _SharedNorm3d}


def averaging(method: Method, config: TrainConfig) -> nn.Module:
    """What is called in place of a method: with several ranks, gradients become their mean over them.

    Buffers need no exchange: they follow from weights and statistics that are the same everywhere.
    """
    if ranks.count() == 1:
        return method
    # Looking for weights without a gradient keeps gradients together as they were put at first: sums of more than two
    # ranks then have the same bits in a training that was interrupted. Networks of others have such weights, too.
    looking = config.deterministic or config.net.arch != "unet"
    kept = "forward_sync_buffers" if "forward_sync_buffers" in _DDP.parameters else "broadcast_buffers"  # before 2.15
    made: Callable[..., nn.Module] = DistributedDataParallel
    return made(method, find_unused_parameters=looking, **{kept: False})


@contextlib.contextmanager
def exchanging(model: nn.Module, now: bool) -> Iterator[None]:
    """Gradients of the block are exchanged, or kept to be exchanged with those of a later part of the batch."""
    if isinstance(model, DistributedDataParallel) and not now:
        with model.no_sync():
            yield
    else:
        yield
