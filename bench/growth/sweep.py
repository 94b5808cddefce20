"""Measure every stage at every size, and go on where an earlier call stopped."""

import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bench.growth.sizes import FACTORS, SMALLEST, Axis, Size, amount, larger
from bench.growth.stages import STAGES, Task, lay_out, measure
from converters.files import Strict, read_json, write_json
from converters.workers import alone
from leaderboards import facts

Scale = Literal["full", "tiny"]
REPEATS: dict[Scale, int] = {"full": 3, "tiny": 1}


class Point(Strict):
    """One stage at one size."""

    stage: str
    axis: Axis
    factor: int
    amount: int  # of what grows: cases, voxels ...
    seconds: float  # median
    mib: float  # peak resident memory above that after a rehearsal


class Growth(Strict):
    """growth.json."""

    scale: Scale
    machine: dict[str, str]
    code: dict[str, str]
    points: tuple[Point, ...] = ()
    format: int = 1

    def series(self, stage: str, axis: Axis) -> list[Point]:
        """The points of a line, from the smallest on."""
        return sorted((p for p in self.points if (p.stage, p.axis) == (stage, axis)), key=lambda point: point.factor)


def sweep(file: Path, work: Path, scale: Scale, stages: Sequence[str], told: Callable[[Point], None]) -> Growth:
    """Every point that the file lacks, written there as it comes.

    A file of another scale, or of another machine, is begun anew: its points are of no use here.
    """
    made = _begun(file, scale)
    work.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        known = {(point.stage, point.axis, point.factor) for point in made.points}
        left = [each for each in plan(stage, scale) if (stage, *each[:2]) not in known]
        tasks = [Task(stage, size, work, REPEATS[scale]) for _, _, size in left]
        if tasks:
            alone(lay_out, tasks)
        for (axis, factor, _), task in zip(left, tasks, strict=True):
            point = _point(task, axis, factor)
            made = msgspec.structs.replace(made, points=(*made.points, point))
            write_json(file, made)
            told(point)
    return made


def plan(stage: str, scale: Scale) -> Iterator[tuple[Axis, int, Size]]:
    """Every axis and factor of a stage, and its size."""
    for axis, base in STAGES[stage].axes.items():
        for factor in FACTORS:
            yield axis, factor, larger(base if scale == "full" else SMALLEST, axis, factor)


def _point(task: Task, axis: Axis, factor: int) -> Point:
    cost = alone(measure, task)
    return Point(
        stage=task.stage,
        axis=axis,
        factor=factor,
        amount=amount(task.size, axis),
        seconds=float(f"{statistics.median(cost.seconds):.4g}"),
        mib=round(cost.mib, 1),
    )


def _begun(file: Path, scale: Scale) -> Growth:
    machine = facts.machine_facts()
    if file.is_file():
        found = read_json(file, Growth)
        if (found.scale, found.machine["cpu"], found.machine["cores"]) == (scale, machine["cpu"], machine["cores"]):
            return found
    return Growth(scale=scale, machine=machine, code=facts.code_facts())
