"""View + TrainConfig + seed -> model: the one loop, for every method, in 2D and 3D."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import torch

from baselines.augment import augment
from baselines.cache import Prepared, counts, prepare
from baselines.checkpoint import Progress, interruptible, load_checkpoint, save_checkpoint
from baselines.config import TrainConfig
from baselines.device import describe, settings
from baselines.feed import feed
from baselines.grid import typical_spacing
from baselines.meter import Meter, Tally, cost
from baselines.method import Method
from baselines.model import ModelSpec, make_method, save_model
from baselines.nets import NetSpec
from baselines.sampler import Sampler
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.files import digest
from leaderboards.record import Cost

LOG_EVERY = 10


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
        run = digest([spec, view.file.bench.content_sha256, [case.label for case in view.cases]])
        torch.manual_seed(setting.seed)
        method = make_method(spec, setting.plugin).to(device)
        optimizer = _optimizer(method, config)
        found = load_checkpoint(out / "checkpoint.pt", method, optimizer, run)
        progress = found or Progress(step=0, recipe=run, tally=Tally())
        meter = Meter(device, progress.tally)
        cases = prepare(view, config, setting.cache) if progress.step < config.steps else []
        if cases and (reason := method.refuses(len(config.patch), *counts(cases))):
            raise RefusedError(f"{config.method} is skipped: {reason}")
        loop = _Loop(method, optimizer, cases, config, setting)
        with interruptible() as asked:
            for step in loop.steps(progress.step, out / "log.jsonl"):
                meter.tick(config.batch)
                last = step + 1 == config.steps
                if last or asked.is_set() or (step + 1) % config.checkpoint_every == 0:
                    progress = Progress(step=step + 1, recipe=run, tally=meter.tally())
                    save_checkpoint(out / "checkpoint.pt", method, optimizer, progress)
                if asked.is_set() and not last:
                    raise KeyboardInterrupt
        save_model(method, spec, out)
        learning = sum(p.numel() for p in method.parameters() if p.requires_grad)
        spent = cost(progress.tally, device, config.batch, config.precision)
        return Trained(out, spent, learning, describe(device))


@dataclasses.dataclass(frozen=True)
class _Loop:
    method: Method
    optimizer: torch.optim.Optimizer
    cases: list[Prepared]
    config: TrainConfig
    setting: Setting

    def steps(self, start: int, log: Path) -> Iterator[int]:
        """Take each step from `start` on and yield its number when it is done."""
        config, device = self.config, torch.device(self.setting.device)
        if start >= config.steps:
            return
        sampler = Sampler(self.cases, config, self.method.composition, self.setting.seed)
        self.method.train()
        _cut_log(log, start)
        with log.open("ab") as lines:
            for loaded in feed(sampler, range(start, config.steps), device):
                step = loaded.step
                generator = _seed_step(self.setting.seed, step)
                batch = augment(loaded, config.augment, generator)
                terms = self.method(batch, step / config.steps)
                total = torch.stack(list(terms.values())).sum()
                self._update(total, step)
                last = step + 1 == config.steps
                if step % LOG_EVERY == 0 or last or (step + 1) % config.checkpoint_every == 0:
                    # Before each checkpoint too: one with infinite weights would be the end of every later try.
                    self._refuse_infinite(float(total.detach()), step, loaded.case.tolist())
                if step % LOG_EVERY == 0 or last:
                    values = {name: float(value.detach()) for name, value in terms.items()}
                    lines.write(msgspec.json.encode({"step": step, **values}) + b"\n")
                    lines.flush()
                if self.setting.progress is not None:
                    self.setting.progress(step + 1, config.steps)
                yield step

    def _update(self, total: torch.Tensor, step: int) -> None:
        config = self.config
        self.optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * _schedule(step, config)
            if group["clip"]:
                torch.nn.utils.clip_grad_norm_(group["params"], group["clip"])
        self.optimizer.step()
        self.method.after_step(step)

    def _refuse_infinite(self, total: float, step: int, cases: list[int]) -> None:
        if total - total != 0:  # NaN or infinite
            names = sorted({self.cases[case].id for case in cases})
            raise BenchError(
                f"the loss is {total} at step {step}",
                where=f"cases {', '.join(names)}",
                mend="lower train.lr, or look at these images; the last good checkpoint is kept",
            )


def _check_deterministic(config: TrainConfig, device: torch.device) -> None:
    linear = config.net.arch == "unet" and config.net.upsampling == "linear"
    if config.deterministic and device.type == "cuda" and linear:
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


def _optimizer(method: Method, config: TrainConfig) -> torch.optim.Optimizer:
    groups = [{"lr": config.lr, "clip": config.clip, **group} for group in method.parameter_groups()]
    groups = [{**group, "base_lr": group["lr"]} for group in groups]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, config.lr, weight_decay=config.weight_decay)


def _schedule(step: int, config: TrainConfig) -> float:
    """Factor on the learning rate: linear warm-up, then poly."""
    ramp = min(1.0, (step + 1) / (config.warmup * config.steps)) if config.warmup else 1.0
    return float(ramp * (1 - step / config.steps) ** config.power)


def _seed_step(seed: int, step: int) -> torch.Generator:
    """Seed torch for one step, so that a resumed run draws what the uninterrupted one drew."""
    value = int.from_bytes(hashlib.sha256(f"{seed}/{step}".encode()).digest()[:8], "little") >> 1
    torch.manual_seed(value)
    return torch.Generator().manual_seed(value)


def _cut_log(path: Path, start: int) -> None:
    """Drop lines of steps that will be taken again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        with contextlib.suppress(msgspec.DecodeError):
            if msgspec.json.decode(line)["step"] < start and line.endswith(b"\n"):
                kept.append(line)
    path.write_bytes(b"".join(kept))
