"""Step after step: a batch, its loss terms, gradients in parts, an update, a line of the log.

Nothing here waits for a GPU: the host hands over step after step and reads a value only when it has long been there.
"""

import dataclasses
import hashlib
import math
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from baselines import ranks
from baselines.augment import augment
from baselines.batch import Loaded
from baselines.cache import Prepared
from baselines.config import TrainConfig
from baselines.device import wait_for
from baselines.feed import feed
from baselines.log import LOG_EVERY, Log
from baselines.memory import out_of_memory, too_large
from baselines.meter import WARMUP
from baselines.method import Method
from baselines.optimizer import update
from baselines.ranks_net import averaging, exchanging
from baselines.sampler import Sampler
from converters.errors import BenchError

HELD_STEPS, HELD_SECONDS = 20, 2.0  # whichever is over first


@dataclasses.dataclass
class Loop:
    """Trains a method in place."""

    method: Method
    optimizer: torch.optim.Optimizer
    cases: list[Prepared]
    config: TrainConfig
    seed: int
    device: torch.device
    parts: int  # in which a batch is computed by now
    cache_on: str = "host"  # where batches are gathered: `Feed.kind`
    _model: nn.Module | None = None  # what is called in place of the method
    _most: int = 1  # parts of which each still has the mix of the batch
    _log: Log | None = None
    _held: Loaded | None = None
    _taken: int = 0

    def steps(self, start: int, log: Path) -> Iterator[int]:
        """Take each step from `start` on and yield its number when it is done (on a GPU: handed over).

        Raises:
            BenchError: a batch does not fit into memory, or the loss is no longer finite.
        """
        config = self.config
        if start >= config.steps:
            return
        sampler = Sampler(self.cases, config, self.method.composition, self.seed)
        self._most = _most_parts([share for _, share in sampler.shares], self.parts)
        self.method.train()
        self._model = averaging(self.method, config)
        with Log(log, start, [case.id for case in self.cases], later=self.device.type == "cuda") as self._log:
            batches = feed(sampler, range(start, config.steps), self.device, self.parts)
            self.cache_on = batches.kind
            for loaded in batches:
                step = loaded.step
                terms = self._take(loaded)
                self._log.see(step, terms, _cases(loaded), line=step % LOG_EVERY == 0 or step + 1 == config.steps)
                self._held, self._taken = loaded, self._taken + 1
                yield step

    def settle(self) -> None:
        """What a checkpoint waits for: one with infinite weights would be the end of every later try.

        Raises:
            BenchError: the loss is no longer finite.
        """
        if self._log is not None:
            self._log.settle()

    def held_rate(self) -> float | None:
        """Samples a second with the last batch held on the device, or None where no steady state was reached.

        It goes on training: to be asked when the model is saved.
        """
        if self._held is None or self._taken <= WARMUP or ranks.count() > 1:  # ranks would not stop at one step
            return None
        wait_for(self.device)
        taken, start = 0, time.perf_counter()
        while taken < HELD_STEPS and time.perf_counter() - start < HELD_SECONDS:
            self._take(self._held)
            taken += 1
        wait_for(self.device)
        return round(taken * self.config.batch / (time.perf_counter() - start), 3)

    def _take(self, loaded: Loaded) -> dict[str, Tensor]:
        """One step, in as many parts as memory asks for; its terms."""
        try:
            while (terms := self._tried(loaded)) is None:
                self.parts = _more_parts(self.parts, self._most) or self.parts
            update(self.optimizer, loaded.step, self.config)
            self.method.after_step(loaded.step)
        except RuntimeError as error:
            if out_of_memory(error):
                raise too_large(error, self.config, self.parts, self.device) from error
            raise
        return terms

    def _tried(self, loaded: Loaded) -> dict[str, Tensor] | None:
        """Gradients and terms, or None and no trace where memory does not do and smaller parts may."""
        if self.config.accumulate != "auto" or _more_parts(self.parts, self._most) is None:
            return self._gradients(loaded)
        buffers = list(self.method.buffers())
        before = [buffer.clone() for buffer in buffers]  # a forward pass moves running statistics
        try:
            return self._gradients(loaded)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
        # Only now are the tensors of the pass gone: the error held them.
        self.optimizer.zero_grad(set_to_none=True)
        for buffer, value in zip(buffers, before, strict=True):
            buffer.copy_(value)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _gradients(self, loaded: Loaded) -> dict[str, Tensor]:
        """Leave the gradients of a batch, the mean over its parts; the terms likewise."""
        step, parts = loaded.step, self.parts
        generator = _seed_step(self.seed, step)
        batch = augment(loaded, self.config.augment, generator)
        assert self._model is not None  # made before the first step
        self.optimizer.zero_grad(set_to_none=True)
        seen: dict[str, Tensor] = {}
        for number in range(parts):
            with exchanging(self._model, now=number + 1 == parts):
                terms = self._model(batch.part(number, parts), step / self.config.steps)
                torch.autograd.backward(torch.stack(list(terms.values())).sum() / parts)
            for name, value in terms.items():
                share = value.detach() / parts
                seen[name] = seen[name] + share if name in seen else share
        return ranks.averaged(seen)


def _cases(loaded: Loaded) -> Tensor:
    """Of every sample of the batch, whoever has it."""
    return loaded.case if loaded.share is None else torch.tensor(loaded.share.case)


def _most_parts(shares: list[int], parts: int) -> int:
    """The largest number of parts of which each has the mix of the batch.

    Raises:
        BenchError: the parts asked for have not.
    """
    most = math.gcd(*shares)
    if most % parts:
        raise BenchError(
            f"train.accumulate = {parts} does not divide each share of a batch: {', '.join(map(str, shares))} samples",
            mend=f"take a divisor of {most}, or another train.batch",
        )
    return most


def _more_parts(parts: int, most: int) -> int | None:
    """The next number of parts that keeps the mix, at least twice as many, or None."""
    return next((n for n in range(2 * parts, most + 1) if most % n == 0), None)


def _seed_step(seed: int, step: int) -> torch.Generator:
    """Seed torch for one step, so that a resumed run draws what the uninterrupted one drew."""
    value = int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:8], "little") >> 1
    torch.manual_seed(value)
    return torch.Generator().manual_seed(value)
