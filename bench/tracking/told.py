"""What a tracker is told of a run, all of it from the run's own files: these are the truth, a tracker has a copy."""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import msgspec

from baselines.task import LABELS
from leaderboards.record import Record
from leaderboards.summary import cells, summaries

if TYPE_CHECKING:
    from PIL.Image import Image

    from bench.plan import Plan

State = Literal["done", "skipped", "failed", "stopped"]
Which = Literal["none", "phantoms", "all"]  # of whose cases pictures are handed over


class Point(NamedTuple):
    """Values of several series after one step."""

    step: int
    values: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a run before it begins."""

    folder: Path  # the run's; its name is the run's
    path: str  # <dataset>/<protocol>/<method>/<folder's name>: what a continued run is found by
    settings: Mapping[str, str]  # the recipe: dotted keys, JSON values
    before: Mapping[str, int]  # stage -> the steps of those before it; empty where there are no stages


class Tracker(Protocol):
    """Somewhere that keeps what it is told. Any method may raise, or never come back: no run minds."""

    def series(self, points: Sequence[Point]) -> None:
        """Keep these, in ascending order of step; some may have been told before."""

    def scores(self, scores: Mapping[str, float]) -> None:
        """Keep the final scores."""

    def picture(self, name: str, picture: "Image") -> None:
        """Keep a picture of a test case."""

    def end(self, state: State) -> None:
        """Nothing comes after this, unless the run is taken up again."""


def about(plan: "Plan", before: Mapping[str, int]) -> About:
    """What a tracker is told of a plan; `before` as in `About`."""
    from baselines.config import plain

    folder = plan.folder
    return About(folder, "/".join(folder.parts[-4:]), dict(_flat(plain(plan.recipe))), before)


def _flat(table: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else msgspec.json.encode(value).decode()


def points(lines: Iterable[bytes], before: int) -> list[Point]:
    """Lines of a log; what is no line, as the last one of a killed process, is left out."""
    found = []
    for line in lines:
        try:
            terms = msgspec.json.decode(line, type=dict[str, float])
            step = int(terms.pop("step"))
        except (msgspec.DecodeError, KeyError):
            continue
        found.append(Point(before + step, {f"train/{part(name)}": value for name, value in terms.items()}))
    return found


def logged(about: About) -> list[Point]:
    """All that training has logged by now, of every stage."""
    model = about.folder / "model"
    logs = {model / stage / "log.jsonl": steps for stage, steps in about.before.items()}
    found = []
    for log, before in (logs or {model / "log.jsonl": 0}).items():
        found += points(log.read_bytes().splitlines() if log.is_file() else (), before)
    return found


def chosen(record: Record) -> list[Point]:
    """The mean Dice on the validation cases after each step compared, where a step was selected."""
    dice = record.chosen.dice if record.chosen is not None else {}
    return [Point(step, {"validation/dice": value}) for step, value in sorted(dice.items())]


def scores(record: Record) -> dict[str, float]:
    """`test/<metric>/mean`, and `test/<metric>/<structure>`: means over subjects as in a table; and what it cost."""
    found: dict[str, float] = {}
    labels = dict.fromkeys(score.label for score in record.cases)
    measured = dict.fromkeys(name for score in record.cases for name in score.metrics)
    for definition, (whole, each) in summaries(cells([record.cases], [*measured])).items():
        known = {"mean": whole} | {f"label {part(label)}": each.get(label) for label in labels}
        found |= {f"test/{part(definition)}/{name}": one.mean for name, one in known.items() if one is not None}
    for phase, cost in (("train", record.train), ("predict", record.predict)):
        if cost is not None:
            found |= {f"cost/{phase}_seconds": cost.seconds, f"cost/{phase}_items_per_s": cost.items_per_s}
    return found


def part(name: str) -> str:
    """One part of a series' name: what is no letter, digit, blank, `_` or `-` is its code point, so none are alike."""
    return re.sub(r"[^A-Za-z0-9_ -]", lambda found: "-" if found[0] == ":" else f".{ord(found[0]):x}", name) or "_"


def pictures(plan: "Plan", record: Record | None, which: Which) -> Iterator[tuple[str, "Image"]]:
    """The worst, the median and the best test case of a task of label maps, with the contours of both maps."""
    from bench.overlay import SLICES
    from bench.pictures import extremes, overlay
    from leaderboards.site.content import made_up

    if record is None or record.task != LABELS or which == "none":
        return
    if which == "phantoms" and not made_up(record.dataset):
        return
    there = {case.id: plan.folder / "predictions" / f"{case.id}.nii.gz" for case in plan.test}
    for one in extremes(record, [case for case, path in there.items() if path.is_file()]):
        case = plan.dataset.case(one.case)
        yield f"{one.rank} {one.case}", overlay(plan.dataset, case, there[one.case], SLICES)
