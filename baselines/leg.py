"""One training of a method, the whole of it or a stage: from its checkpoint, or from the start, to its last step."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from baselines import ranks
from baselines.cache import Prepared
from baselines.checkpoint import CHECKPOINT, Progress, interruptible, load_checkpoint, save_checkpoint
from baselines.config import TrainConfig
from baselines.loop import Loop
from baselines.meter import Meter, Tally
from baselines.method import Method
from baselines.model import ModelSpec, compile_networks, load_weights, make_method, save_model
from baselines.optimizer import make_optimizer
from baselines.ranks_net import share
from baselines.stages import Stage
from converters.errors import EnvironmentFault


@dataclasses.dataclass(frozen=True)
class Leg:
    """What is trained, on what, and where it lies."""

    spec: ModelSpec
    config: TrainConfig  # its steps are those of the leg
    out: Path
    seed: int
    run: str  # digest of all that decides it: a checkpoint of another run is refused
    device: torch.device
    plugin: Path | None
    cases: Callable[[Method], list[Prepared]]  # asked for only where steps are left
    told: Callable[[int], None]  # called with the steps of the leg that are done
    snapshots: Mapping[int, Path]  # after so many steps of the leg -> the folder of a model
    before: Tally  # what has been counted when it begins
    stage: Stage | None = None  # None: the method has but one
    weights: Path | None = None  # folder of the model that it starts from; None: fresh weights
    last: bool = True
    halts: Callable[[int], bool] | None = None  # after the snapshot of so many steps: does the leg end there?


@dataclasses.dataclass(frozen=True)
class Ran:
    """A leg that has come to its end."""

    loop: Loop
    tally: Tally
    compiled: bool


def run_leg(leg: Leg) -> Ran:
    """Train to the last step; nothing is done where the checkpoint is of that one.

    Raises:
        BenchError: the loss is no longer finite; says at which step and on which cases.
        EnvironmentFault: several ranks, and they do not see one folder.
        KeyboardInterrupt: asked to stop; a checkpoint is saved.
    """
    config, device = leg.config, leg.device
    method = fresh(leg.spec, leg.seed, leg.plugin, device)
    if leg.weights is not None:
        load_weights(method, leg.weights)
    if leg.stage is not None:
        method.enter(leg.stage)
    share(method, device)
    compiled = compile_networks(method, config, device)
    optimizer = make_optimizer(method, config, device)
    parts = 1 if config.accumulate == "auto" else config.accumulate
    with ranks.first():  # a damaged one is put aside
        found = load_checkpoint(leg.out / CHECKPOINT, method, optimizer, leg.run)
    progress = found or Progress(step=0, recipe=leg.run, tally=leg.before, parts=parts)
    if ranks.some(progress.step != ranks.told(progress.step)):
        raise EnvironmentFault(
            "the ranks do not see the same checkpoint", where=leg.out, mend="a folder that all machines share"
        )
    meter = Meter(device, progress.tally)
    ended = progress.step == config.steps or ranks.some(_halted(leg, progress.step))
    cases = leg.cases(method) if not ended else []
    loop = Loop(method, optimizer, cases, config, leg.seed, device, progress.parts)
    if not ended:
        progress = _run(leg, loop, meter, progress)
    return Ran(loop, progress.tally, compiled)


def fresh(spec: ModelSpec, seed: int, plugin: Path | None, device: torch.device) -> Method:
    """The method with the first weights of a seed."""
    torch.manual_seed(seed)
    return make_method(spec, plugin).to(device)


def _run(leg: Leg, loop: Loop, meter: Meter, progress: Progress) -> Progress:
    """All steps that are left, with a checkpoint now and then, at the end, and where somebody asks to stop.

    Of several ranks one writes; all of them stop at the same step.
    """
    config, leads = leg.config, ranks.leads()
    with interruptible() as asked:
        for step in loop.steps(progress.step, leg.out / "log.jsonl" if leads else Path(os.devnull)):
            leg.told(step + 1)
            meter.tick(config.batch)
            # Before the checkpoint: after it nobody comes back for this step.
            halted = step + 1 in leg.snapshots and _snapshot(leg, loop, meter, step + 1)
            last, stop = halted or step + 1 == config.steps, ranks.some(asked.is_set())
            if last or stop or (step + 1) % config.checkpoint_every == 0:
                loop.settle()
                progress = Progress(step=step + 1, recipe=progress.recipe, tally=meter.tally(), parts=loop.parts)
                if leads:
                    save_checkpoint(leg.out / CHECKPOINT, loop.method, loop.optimizer, progress)
            if stop and not (last and leg.last):
                ranks.meet()  # the checkpoint is whole
                raise KeyboardInterrupt
            if halted:
                break
    return progress


def _snapshot(leg: Leg, loop: Loop, meter: Meter, done: int) -> bool:
    """Keep the model as it is after so many steps, and ask whether to end there; whoever is asked takes no time."""
    loop.settle()
    if ranks.leads():
        save_model(loop.method, leg.spec, leg.snapshots[done])
    if leg.halts is None:
        return ranks.some(False)
    with meter.paused():
        return ranks.some(_halted(leg, done))


def _halted(leg: Leg, done: int) -> bool:
    return leg.halts is not None and done in leg.snapshots and leg.halts(done)
