"""View + TrainConfig + seed -> model: the one loop, for every method, in 2D and 3D."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import torch

from baselines.cache import counts, prepare
from baselines.checkpoint import Progress, interruptible, load_checkpoint, save_checkpoint
from baselines.config import NetSpec, TrainConfig, plain
from baselines.device import describe, settings
from baselines.grid import typical_spacing
from baselines.loop import Loop
from baselines.meter import Meter, More, Tally, cost, macs
from baselines.model import ModelSpec, compile_networks, make_method, save_model
from baselines.optimizer import make_optimizer
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.files import digest
from leaderboards.record import Cost


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where and how a training runs, beside what decides its numbers."""

    seed: int = 0
    device: str = "cpu"
    plugin: Path | None = None
    cache: Path | None = None  # folder of packs, shared between runs; None: prepared cases are held in memory
    progress: Callable[[int, int], None] | None = None  # called with (step, steps)


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training left: the model's folder, its cost, its number of learning parameters, what it ran on."""

    model: Path
    cost: Cost
    parameters: int
    machine: dict[str, str]


class RefusedError(BenchError):
    """This method cannot learn from this view: the run is skipped, not failed."""


def train(view: Dataset, config: TrainConfig, out: Path, setting: Setting) -> Trained:
    """Train on a view, from the checkpoint in `out` if there is one, and save the model there.

    Raises:
        RefusedError: the method cannot learn from such a view.
        BenchError: the loss is no longer finite; says at which step and on which cases.
        KeyboardInterrupt: asked to stop; a checkpoint is saved.
    """
    device = torch.device(setting.device)
    _check_deterministic(config, device)
    with settings(config, device):
        spec = _spec(view, config, setting.seed)
        run = digest([plain(spec), view.file.bench.content_sha256, [case.label for case in view.cases]])
        torch.manual_seed(setting.seed)
        method = make_method(spec, setting.plugin).to(device)
        compiled = compile_networks(method, config, device)
        optimizer = make_optimizer(method, config, device)
        parts = 1 if config.accumulate == "auto" else config.accumulate
        found = load_checkpoint(out / "checkpoint.pt", method, optimizer, run)
        progress = found or Progress(step=0, recipe=run, tally=Tally(), parts=parts)
        meter = Meter(device, progress.tally)
        cases = prepare(view, config, setting.cache) if progress.step < config.steps else []
        if cases and (reason := method.refuses(len(config.patch), *counts(cases))):
            raise RefusedError(f"{config.method} is skipped: {reason}")
        loop = Loop(method, optimizer, cases, config, setting.seed, device, progress.parts)
        progress = _run(loop, meter, progress, out, setting)
        save_model(method, spec, out)
        sample = torch.zeros(1, spec.net.in_channels, *config.patch, device=device)
        more = More(parts=loop.parts, held_items_per_s=loop.held_rate(), macs=macs(method, sample))
        spent = cost(progress.tally, device, config.batch, config.precision, **more)
        learning = sum(p.numel() for p in method.parameters() if p.requires_grad)
        told = {"compiled": "true"} if compiled else {}
        if device.type == "cuda":
            told["cache_on"] = loop.cache_on
        return Trained(out, spent, learning, describe(device) | told)


def _run(loop: Loop, meter: Meter, progress: Progress, out: Path, setting: Setting) -> Progress:
    """All steps that are left, with a checkpoint now and then, at the end, and where somebody asks to stop."""
    config = loop.config
    with interruptible() as asked:
        for step in loop.steps(progress.step, out / "log.jsonl"):
            if setting.progress is not None:
                setting.progress(step + 1, config.steps)
            meter.tick(config.batch)
            last = step + 1 == config.steps
            if last or asked.is_set() or (step + 1) % config.checkpoint_every == 0:
                loop.settle()
                progress = Progress(step=step + 1, recipe=progress.recipe, tally=meter.tally(), parts=loop.parts)
                save_checkpoint(out / "checkpoint.pt", loop.method, loop.optimizer, progress)
            if asked.is_set() and not last:
                raise KeyboardInterrupt
    return progress


def _check_deterministic(config: TrainConfig, device: torch.device) -> None:
    if not config.deterministic or device.type != "cuda":
        return
    if len(config.patch) == 3:
        raise BenchError("3D max pooling has no deterministic gradient on CUDA", mend="train without --deterministic")
    if config.net.arch == "unet" and config.net.upsampling == "linear":
        raise BenchError(
            "linear upsampling has no deterministic gradient on CUDA",
            mend="--set train.net.upsampling=transposed, or train without --deterministic",
        )


def _spec(view: Dataset, config: TrainConfig, seed: int) -> ModelSpec:
    net = NetSpec(
        config=config.net,
        in_channels=len(view.channels),
        classes=view.classes,
        patch=config.patch,
        spacing=typical_spacing([case.geometry for case in view.cases], config),
        precision=config.precision,
        channels_last=config.channels_last,
    )
    return ModelSpec(config=config, net=net, channels=view.channels, labels=view.labels, seed=seed)
