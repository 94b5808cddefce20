"""View + TrainConfig + seed -> model: the one loop, for every method, in 2D and 3D, once for each stage."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import torch

from baselines import ranks
from baselines.cache import Prepared, counts, prepare
from baselines.config import TrainConfig, plain
from baselines.device import describe, settings
from baselines.inputs import save_inputs
from baselines.leg import Leg, Ran, fresh, run_leg
from baselines.log import join
from baselines.meter import Meter, More, Tally, cost, macs
from baselines.method import Method, find
from baselines.model import ModelSpec, load_weights, save_model
from baselines.ranks_join import check, noticing
from baselines.relabel import Drawing, relabelled
from baselines.sampler import lacks
from baselines.stages import Stage, alone, steps_of
from baselines.task import LABELS
from baselines.taught import annotated, asked_of, model_spec, refusal, taught_values
from converters.dataset import Dataset
from converters.errors import BenchError
from converters.files import digest, read_json, sha256, write_json
from leaderboards.record import Cost

_TAKES = "take another method or view: docs/methods.md and docs/tasks.md say what a method learns from"
_TELL = "--protocol noisy50 --annotator boundary:trusted=1 makes a view that tells clean labels from noisy ones"


@dataclasses.dataclass(frozen=True)
class Setting:
    """Where and how a training runs, beside what decides its numbers."""

    seed: int = 0
    device: str = "cpu"
    plugin: Path | None = None
    cache: Path | None = None  # folder of packs, shared between runs; None: prepared cases are held in memory
    progress: Callable[[int, int], None] | None = None  # called with (step, steps)
    stop: Callable[[int, Path], bool] | None = None  # asked after each snapshot, with its step and folder: end here?


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training left: the model's folder, its cost, its number of learning parameters, what it ran on."""

    model: Path
    cost: Cost
    parameters: int
    machine: dict[str, str]
    snapshots: Mapping[int, Path] = dataclasses.field(default_factory=dict)  # after so many steps -> a model's folder


class RefusedError(BenchError):
    """This method cannot learn from this view: the run is skipped, not failed."""


@dataclasses.dataclass(frozen=True)
class _Course:
    """A training as it was asked for, and what follows from that."""

    view: Dataset
    config: TrainConfig
    out: Path
    setting: Setting
    device: torch.device
    spec: ModelSpec
    run: str  # digest of all that decides it
    stages: tuple[Stage, ...]
    taught: Mapping[str, float]  # values of the cases, where these are the task


def train(view: Dataset, config: TrainConfig, out: Path, setting: Setting, task: str = LABELS) -> Trained:
    """Train on a view, from the checkpoint in `out` if there is one, and save the model there.

    The stages of a method train one after the other, each in a folder of `out` with its own checkpoint, log and model
    and, where it draws labels anew, its view. Several ranks all call this, with a folder that all
    see, and one of them writes; what they train is what one process trains, to within rounding.

    Raises:
        RefusedError: the method cannot learn from such a view.
        BenchError: the loss is no longer finite; says at which step and on which cases.
        KeyboardInterrupt: asked to stop; a checkpoint is saved.
    """
    device = torch.device(setting.device)
    _check_deterministic(config, device)
    found = find(config.method, setting.plugin)
    if ranks.count() > 1:
        check(found, config, ranks.count())
    with noticing(), settings(config, device):
        view = asked_of(view, task)
        spec = model_spec(view, config, setting.seed, task)
        taught = taught_values(view, spec)
        if reason := refusal(found, spec, taught):
            raise RefusedError(f"{config.method} is skipped: {reason}", mend=_TAKES)
        seen = [view.file.bench.content_sha256, [case.label for case in view.cases]]
        run = digest([plain(spec), *seen, *([sorted(taught.items())] if taught else [])])
        course = _Course(view, config, out, setting, device, spec, run, found.stages, taught)
        ran = run_leg(_leg(course)) if alone(found.stages) else _staged(course)
        method = ran.loop.method
        if ranks.leads():
            save_model(method, spec, out)
            save_inputs(view, out, config)
        sample = torch.zeros(1, spec.net.in_channels, *config.patch, device=device)
        more = More(parts=ran.loop.parts, held_items_per_s=ran.loop.held_rate(), macs=macs(method, sample))
        spent = cost(ran.tally, device, config.batch, config.precision, **more)
        learning = sum(p.numel() for p in method.parameters() if p.requires_grad)
        told = {"compiled": "true"} if ran.compiled else {}
        if ranks.count() > 1:
            told["ranks"] = str(ranks.count())
        if device.type == "cuda":
            told["cache_on"] = ran.loop.cache_on
        return Trained(out, spent, learning, describe(device) | told, _snapshots(course))


def _leg(course: _Course) -> Leg:
    """All steps on the labels that the view shows."""
    told, steps = course.setting.progress, course.config.steps
    return Leg(
        spec=course.spec,
        config=course.config,
        out=course.out,
        seed=course.setting.seed,
        run=course.run,
        device=course.device,
        plugin=course.setting.plugin,
        cases=partial(_cases, course, course.view),
        told=lambda done: told(done, steps) if told is not None else None,
        snapshots=_snapshots(course),
        before=Tally(),
        halts=_halts(course, 0),
    )


def _staged(course: _Course) -> Ran:
    """Every stage in turn, with the weights of the one before unless it starts afresh; costs add up."""
    annotated = [case.label is not None and case.label.annotated_fraction > 0 for case in course.view.cases]
    method = find(course.config.method, course.setting.plugin)
    _check_learns(method, course.config, sum(annotated), len(annotated) - sum(annotated))
    legs = _legs(course)
    tally, states, phases = Tally(), None, 0
    for number, (stage, bare) in enumerate(zip(course.stages, legs, strict=True)):
        leg = dataclasses.replace(bare, before=tally, weights=legs[number - 1].out if number else None)
        if stage.relabel:
            leg = _relabelled(course, leg, course.stages[max(0, number - 1)], states)
            states, phases = leg.out / "states", phases + 1
        ran = run_leg(dataclasses.replace(leg, weights=None) if stage.fresh else leg)
        if ranks.leads():
            save_model(ran.loop.method, course.spec, leg.out)
        ranks.meet()  # the next stage reads it
        tally, phases = ran.tally, phases + 1
    if ranks.leads():
        join([leg.out / "log.jsonl" for leg in legs], [leg.config.steps for leg in legs], course.out / "log.jsonl")
    # A segment is what one process did in one go: that phases follow on each other is no interruption.
    segments = max(1, tally.segments - phases + 1)
    return dataclasses.replace(ran, tally=msgspec.structs.replace(tally, segments=segments))


def _legs(course: _Course) -> list[Leg]:
    """A leg for each stage, as far as it does not depend on the one before."""
    whole, steps = _leg(course), steps_of(course.stages, course.config.steps)
    declared = [dataclasses.asdict(stage) for stage in course.stages]
    found = []
    for number, stage in enumerate(course.stages):
        done, last = sum(steps[:number]), number + 1 == len(steps)
        # The batches of a stage are not those of the one before, and fresh weights are others.
        other = int(sha256(f"{whole.seed}/{stage.name}".encode())[:8], 16)
        found.append(
            dataclasses.replace(
                whole,
                config=msgspec.structs.replace(course.config, steps=steps[number], snapshots=0),
                out=course.out / stage.name,
                seed=other if number else whole.seed,
                run=digest([course.run, declared, stage.name]),
                told=partial(_tell, whole.told, done),
                snapshots={step - done: folder for step, folder in whole.snapshots.items()} if last else {},
                stage=stage,
                last=last,
                halts=_halts(course, done),
            )
        )
    return found


def _relabelled(course: _Course, leg: Leg, before: Stage, states: Path | None) -> Leg:
    """The leg on labels that its method draws with the weights of the stage before; what that cost comes first."""
    assert leg.stage is not None
    method = fresh(course.spec, leg.seed, leg.plugin, leg.device)
    if leg.weights is not None:
        load_weights(method, leg.weights)
    method.stage = before
    meter = Meter(leg.device, leg.before)
    drawing = Drawing(course.view, method, course.spec, leg.stage, leg.seed, leg.run, states)
    spent = leg.out / "relabel.json"
    with ranks.first():
        with meter.stage("relabel"):
            view = relabelled(drawing, leg.out / "view", leg.device, meter)
        if not spent.is_file():
            write_json(spent, meter.tally())
    return dataclasses.replace(leg, cases=partial(_cases, course, view), before=read_json(spent, Tally))


def _halts(course: _Course, before: int) -> Callable[[int], bool] | None:
    stop, folders = course.setting.stop, _snapshots(course)
    return None if stop is None else lambda step: stop(before + step, folders[before + step])


def _tell(told: Callable[[int], None], before: int, done: int) -> None:
    told(before + done)


def _cases(course: _Course, view: Dataset, method: Method) -> list[Prepared]:
    """The prepared cases of a view that the method can learn from."""
    with ranks.first():
        found = prepare(view, course.config, course.setting.cache, course.taught)
    _check_learns(type(method), course.config, *annotated(course.spec, *counts(found)))
    if reason := lacks(found, method.composition):
        raise RefusedError(f"{course.config.method} is skipped: {reason}", mend=_TELL)
    return found


def _check_learns(method: type[Method], config: TrainConfig, labelled: int, unlabelled: int) -> None:
    if reason := method.refuses(len(config.patch), labelled, unlabelled):
        raise RefusedError(f"{config.method} is skipped: {reason}", mend=_TAKES)


def _snapshots(course: _Course) -> dict[int, Path]:
    """After which steps a model is kept, and where: evenly spread over the last stage, its last step among them."""
    count, total = course.config.snapshots, course.config.steps
    last = total if alone(course.stages) else steps_of(course.stages, total)[-1]
    steps = sorted({total - last + -(-last * number // count) for number in range(1, count + 1)})
    return {step: course.out / "snapshots" / str(step) for step in steps}


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
