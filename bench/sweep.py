"""A sweep: one TOML file -> the command lines of many runs, and how far each is. `docs/sweep.md` is the rule."""

import dataclasses
import itertools
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from baselines.config import NetConfig
from bench.recipe import merge
from converters.errors import BenchError, UsageError, unknown_name
from converters.files import Strict

if TYPE_CHECKING:
    from bench.plan import Plan
    from leaderboards.planned import Sweep

# Flags of `bench run` that a run of a sweep may have; each may be a list, and is then an axis. All else is recipe keys.
FLAGS = ("dataset", "preset", "protocol", "split", "draw", "annotator", "unlabelled", "fold", "method", "task", "seed")
_DEFAULT = "supervised"

State = Literal["done", "skipped", "failed", "running", "stopped", "not run"]
Table = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Unit:
    """One run, as it would be typed: what an executor is given, whatever it is."""

    flags: tuple[tuple[str, str], ...]
    settings: tuple[str, ...]  # key=value

    @property
    def words(self) -> tuple[str, ...]:
        """The arguments of `bench run`."""
        typed = [word for name, value in self.flags for word in (f"--{name}", value)]
        return (*typed, *(word for setting in self.settings for word in ("--set", setting)))

    @property
    def method(self) -> str:
        """How it learns."""
        return dict(self.flags).get("method", _DEFAULT)


class _File(Strict):
    """What a sweep file holds; a run is at least one."""

    run: Annotated[list[Table], msgspec.Meta(min_length=1)]
    defaults: Table = {}
    methods: dict[str, Table] = {}


class Standing(Strict):
    """How far a run is."""

    state: State
    words: tuple[str, ...]  # of `bench run`
    dataset: str
    protocol: str
    method: str
    seed: int
    folder: str = ""  # "" where the data is not there to say
    steps: int = 0  # taken, as far as the log says
    of: int = 0
    dice: float | None = None  # of a run that is done: the mean over labels of the mean over subjects
    reason: str = ""


def read(path: Path) -> list[Unit]:
    """The runs of a sweep file in its order; what is written first in a run turns slowest.

    Raises:
        UsageError: there is no such file, or it has a table that no sweep has.
        BenchError: it is no TOML, or not one of a sweep; names the table.
    """
    file = _file(path)
    found = []
    for number, run in enumerate(file.run, 1):
        try:
            found += list(_units(file.defaults, file.methods, run))
        except BenchError as error:
            raise type(error)(error.what, where=f"{path}, run {number}", mend=error.mend) from None
    return list(dict.fromkeys(found))


def _file(path: Path) -> _File:
    try:
        file = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no sweep file '{path}'") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"not TOML: {error}", where=path) from None
    for name in file:
        if name not in ("defaults", "methods", "run"):
            raise unknown_name("table of a sweep", name, ("defaults", "methods", "run"))
    try:
        return msgspec.convert(file, _File)
    except msgspec.ValidationError as error:
        raise BenchError(f"sweep: {error}", where=path, mend="see docs/sweep.md") from None


def _units(defaults: Table, methods: Mapping[str, Table], run: Table) -> Iterator[Unit]:
    """Every combination of the axes of one [[run]], with what its method is given."""
    typed = run | {name: value for name, value in defaults.items() if name not in run}
    if "dataset" not in typed:
        raise BenchError("no dataset", mend='dataset = "acdc", in the run or in [defaults]')
    axes = {name: value if isinstance(value, list) else [value] for name, value in typed.items() if name in FLAGS}
    if empty := [name for name, values in axes.items() if not values]:
        raise BenchError(f"{empty[0]} is an empty list")
    for values in itertools.product(*axes.values()):
        flags = tuple((name, _word(name, value)) for name, value in zip(axes, values, strict=True))
        own = methods.get(dict(flags).get("method", _DEFAULT), {})
        settings = merge(merge(defaults, own), run)
        yield Unit(flags, tuple(_settings({k: v for k, v in settings.items() if k not in FLAGS})))


def _word(name: str, value: object) -> str:
    known = int if name in ("seed", "fold") else str | int
    if isinstance(value, bool) or not isinstance(value, known):
        kinds = "a whole number" if known is int else "a word or a whole number"
        raise BenchError(f"{name} = {value} is not {kinds}, nor a list of such")
    return str(value)


def _settings(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """A nested table as `--set` takes it: dotted keys, TOML values."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _settings(value, f"{prefix}{key}.")
        else:
            # What JSON writes of words, numbers and lists is TOML as well; TOML has no word for nothing.
            yield f"{prefix}{key}={'none' if value == 'none' else msgspec.json.encode(value).decode()}"


def standing(unit: Unit, plan: "Plan") -> Standing:
    """How far a run is, from its folder alone.

    Raises:
        BenchError: its record cannot be read.
    """
    from converters.lock import holder

    recipe = plan.recipe
    told = Standing(
        state="not run",
        words=unit.words,
        dataset=plan.dataset.name,
        protocol=recipe.protocol,
        method=recipe.train.method,
        seed=recipe.seed,
        folder=str(plan.folder),
        of=recipe.train.steps,
    )
    if (plan.folder / "record.json").is_file():
        return _recorded(told, plan.folder / "record.json")
    steps = _taken(plan.folder / "model")
    if holder(plan.folder) is not None:
        return msgspec.structs.replace(told, state="running", steps=steps)
    failures = sorted(plan.folder.glob("failed-*.json"), key=lambda path: path.stat().st_mtime_ns)
    if failures:
        from leaderboards.record import Record

        reason = Record.load(failures[-1]).reason or ""
        return msgspec.structs.replace(told, state="failed", steps=steps, reason=reason)
    return msgspec.structs.replace(told, state="stopped", steps=steps) if steps else told


def lost(unit: Unit, error: BenchError) -> Standing:
    """A run that cannot even be planned: its data are not there, or it asks for what there is not."""
    flags = dict(unit.flags)
    return Standing(
        state="not run",
        words=unit.words,
        dataset=flags["dataset"],
        protocol=flags.get("protocol", "full"),
        method=unit.method,
        seed=int(flags.get("seed", "0")),
        reason=f"{error.what} {f'({error.where})' if error.where else ''}".strip(),
    )


def _recorded(told: Standing, file: Path) -> Standing:
    from leaderboards.record import Record
    from leaderboards.summary import summarise

    record = Record.load(file)
    if record.status == "skipped":
        return msgspec.structs.replace(told, state="skipped", reason=record.reason or "")
    summary = summarise([record.cases], "dice:v1")
    steps = told.of if record.chosen is None else max(record.chosen.dice)
    return msgspec.structs.replace(told, state="done", steps=steps, dice=summary.mean if summary is not None else None)


def _taken(model: Path) -> int:
    """Steps in the logs, of every stage where there are several; a log is written every tenth step."""
    stages = sorted(model.glob("*/log.jsonl"))
    return sum(_last(log) for log in stages or [model / "log.jsonl"])


def _last(log: Path) -> int:
    lines = log.read_bytes().splitlines() if log.is_file() else []
    for line in reversed(lines):
        try:
            return int(msgspec.json.decode(line)["step"]) + 1
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue  # the last one is being written
    return 0


def promised(plans: Sequence["Plan"], command: str) -> "Sweep":
    """What a leaderboard is told of runs before they are made."""
    from leaderboards.planned import Run, Sweep

    runs = [
        Run(
            dataset=plan.dataset.name,
            protocol=plan.recipe.protocol,
            method=plan.recipe.train.method,
            seed=plan.recipe.seed,
            recipe=plan.recipe_digest,
            network=_network(plan.recipe.train.net),
        )
        for plan in plans
    ]
    return Sweep(command=command, runs=tuple(runs))


def _network(net: NetConfig) -> str:
    """In words, where it is not our U-Net."""
    known = NetConfig()
    if net.arch == known.arch:
        return ""
    return net.arch if net.encoder == known.encoder else f"{net.arch} on {net.encoder}"


def collect(standings: Sequence[Standing], out: Path) -> list[Path]:
    """Copy the records that are done, with what they logged, as the committed ones are named."""
    from bench.submission import Source, keep

    done = [Path(each.folder) for each in standings if each.state == "done"]
    return [keep(source := Source.at(folder, None), source.record, out) for folder in done]
