"""Recipe: everything that decides a number, from TOML, presets and flags to one frozen value. No torch."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from baselines.config import PredictConfig, Settings, TrainConfig
from baselines.task import LABELS, refused
from converters.errors import BenchError, UsageError, unknown_name
from converters.files import Strict

PHANTOM = "phantom-"
SNAPSHOTS = 10  # that a selection is from, where nobody said how many
_FOLDER = Path(__file__).parent / "recipes"


class Recipe(Settings):
    """Everything that decides a number."""

    later: ClassVar[frozenset[str]] = frozenset({"predict", "unlabelled", "patience"})

    dataset: str
    split: str = "default"
    protocol: str = "full"
    annotator: str = ""  # who drew the visible labels; "" is the protocol's own choice
    unlabelled: str = ""  # another dataset, all of whose cases join without labels
    draw: int | str = 0  # which subjects are labelled; a str names a published list
    seed: int = 0
    fold: int = 0  # k > 0 takes the split "<split>-fold<k>"
    task: str = LABELS  # or a file of `baselines/tasks/`
    # "last": the last step of a fixed schedule, no validation label is spent; "best_val": of `train.snapshots` the one
    # with the best mean Dice on the validation subjects, whose labels count in the budget; "early_stop": the same, but
    # they are looked at as training goes, which ends when so many looks in a row were no better than the best before.
    selection: Literal["last", "best_val", "early_stop"] = "last"
    patience: int = 3  # of early_stop
    preset: str = ""
    train: TrainConfig = TrainConfig()
    predict: PredictConfig = PredictConfig()

    def __post_init__(self) -> None:
        """Refuse a selection from nothing, and a task with settings it cannot be learnt with."""
        if reason := refused(self.task, self.train):
            raise BenchError(reason)
        if self.task != LABELS and self.selection != "last":
            raise BenchError(f"selection = '{self.selection}' is by Dice, which task '{self.task}' has not")
        if self.selection != "last" and not self.train.snapshots:
            raise BenchError(f"train.snapshots = 0 leaves {self.selection} nothing to select from")
        if self.patience < 1:
            raise BenchError(f"patience = {self.patience} must be positive")

    @property
    def split_name(self) -> str:
        """The split's file name."""
        return f"{self.split}-fold{self.fold}" if self.fold else self.split


class Choice(Strict):
    """What a person typed; None means: as the recipe says."""

    dataset: str
    preset: str
    config: Path | None = None
    settings: tuple[str, ...] = ()  # key=value, keys dotted
    flags: Mapping[str, str | int | None] = msgspec.field(default_factory=dict)  # top-level fields of Recipe


def names() -> list[str]:
    """Datasets that have a recipe, as typed after --dataset."""
    return sorted({name for stem in _stems() for name in (stem, str(_read(_path(stem))["dataset"]))})


def dataset_name(typed: str) -> str:
    """The dataset's folder name: `chaos` means `chaos-mr-t1`, `phantom-chaos` means `phantom-chaos-mr-t1`."""
    stem, prefix = _stem(typed)
    return f"{prefix}{_read(_path(stem))['dataset']}" if stem else typed


def presets(typed: str) -> list[str]:
    """Presets that a dataset's recipe or the general one offers."""
    stem, _ = _stem(typed)
    return sorted({*_general()["presets"], *(_read(_path(stem)).get("presets", {}) if stem else {})})


def resolve(choice: Choice, bf16: bool) -> Recipe:
    """One recipe. Later wins: general recipe, dataset's, their presets, those of the task, --config, flags, --set.

    `bf16` says whether `precision = "auto"` may mean bfloat16 on the machine that will run it; the recipe, and so
    the record, holds what was chosen.

    Raises:
        UsageError: no such preset, or a setting that is no key=value.
        BenchError: an unknown key or a value that does not fit; names the key and, in a file, the line.
    """
    if choice.preset not in presets(choice.dataset):
        raise unknown_name("preset", choice.preset, presets(choice.dataset))
    stem, prefix = _stem(choice.dataset)
    task, layers = _task(choice), [_general(), _read(_path(stem)) if stem else {}]
    merged = _layered({}, layers, choice.preset)
    merged = _layered(merged, [layer.get("tasks", {}).get(task, {}) for layer in layers], choice.preset)
    merged = merge(merged, {"dataset": dataset_name(choice.dataset), "preset": choice.preset})
    if prefix:
        # The subjects of published splits are real people: a phantom has its own.
        merged = merge(merged, {"split": "default", "draw": 0})
    if choice.config is not None:
        merged = merge(merged, _read(choice.config))
        _typed(merged, bf16, choice.config)
    merged = merge(merged, {key: value for key, value in choice.flags.items() if value is not None})
    for setting in choice.settings:
        merged = merge(merged, _setting(setting))
    return _typed(merged, bf16, None)


def _layered(merged: dict[str, Any], layers: Sequence[Mapping[str, Any]], preset: str) -> dict[str, Any]:
    """All layers, then what each has for the preset, after the one that it is `like`."""
    for layer in layers:
        merged = merge(merged, {key: value for key, value in layer.items() if key not in ("presets", "tasks")})
    for name in _lineage(layers, preset):
        for layer in layers:
            here = layer.get("presets", {}).get(name, {})
            merged = merge(merged, {key: value for key, value in here.items() if key != "like"})
    return merged


def _lineage(layers: Sequence[Mapping[str, Any]], preset: str) -> list[str]:
    """The preset, and before it those that it is `like`."""
    like = [layer["presets"][preset]["like"] for layer in layers if "like" in layer.get("presets", {}).get(preset, {})]
    return [*_lineage(layers, like[-1]), preset] if like else [preset]


def _task(choice: Choice) -> str:
    """What is to be learnt, as typed: it decides what a recipe begins with."""
    typed = [_read(choice.config) if choice.config is not None else {}, choice.flags, *map(_setting, choice.settings)]
    return str(next((one["task"] for one in reversed(typed) if one.get("task") is not None), LABELS))


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables merged key by key; anything else from above replaces what is below."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _typed(merged: Mapping[str, Any], bf16: bool, file: Path | None) -> Recipe:
    train = dict(merged.get("train", {}))
    if train.get("precision", "auto") == "auto":
        train["precision"] = "bf16" if bf16 else "fp32"
    if merged.get("selection", "last") != "last" and "snapshots" not in train:
        steps = train.get("steps", TrainConfig().steps)
        train["snapshots"] = min(SNAPSHOTS, steps) if isinstance(steps, int) else SNAPSHOTS
    try:
        return msgspec.convert({**merged, "train": train}, Recipe)
    except msgspec.ValidationError as error:
        raise BenchError(
            f"recipe: {error}", where=_place(str(error), file), mend="bench run --show-config prints every key"
        ) from None


def _place(message: str, file: Path | None) -> str | None:
    """File and line of the key that a validation message names."""
    if file is None:
        return None
    keys = re.findall(r"`([^`]+)`", message)
    wanted = {part for key in keys for part in key.removeprefix("$").split(".") if part}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.split("=")[0].strip().split(".")[-1] in wanted:
            return f"{file}, line {number}"
    return str(file)


def _setting(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not re.fullmatch(r"\w+(\.\w+)*", key.strip()):
        raise UsageError(f"--set {text}", mend="--set key=value, for example --set train.steps=500")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = None if value.strip() == "none" else value  # a bare word; TOML has no word for nothing
    for part in reversed(key.strip().split(".")):
        parsed = {part: parsed}
    return dict(parsed)


def _stem(typed: str) -> tuple[str | None, str]:
    """The recipe file a dataset uses, or None, and the phantom prefix it carried."""
    prefix = PHANTOM if typed.startswith(PHANTOM) else ""
    bare = typed.removeprefix(PHANTOM)
    for stem in _stems():
        if bare in (stem, _read(_path(stem))["dataset"]):
            return stem, prefix
    return None, prefix


def _stems() -> Sequence[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.toml") if path.stem != "general")


def _path(stem: str) -> Path:
    return _FOLDER / f"{stem}.toml"


def _general() -> dict[str, Any]:
    return _read(_path("general"))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"no recipe file '{path}'") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BenchError(f"not TOML: {error}", where=path) from None
