"""`frugalseg.toml` read, and refused with every fault at once where it is unsound."""

import re
from collections.abc import Iterator
from pathlib import Path

from converters.errors import BenchError
from converters.files import safe_id
from converters.folder_config import FolderConfig, Value, listed, of, span
from converters.toml import Fault, read_toml, refuse

_MOST = 16  # structures that may overlap


def read_config(path: Path) -> FolderConfig:
    """The description of a folder.

    Raises:
        BenchError: it is no TOML, or unsound; every fault is named with its key and line.
    """
    config = read_toml(path, FolderConfig)
    refuse(path, list(_faults(config)))
    return config


def _faults(config: FolderConfig) -> Iterator[Fault]:
    yield from _name_faults(config)
    yield from _place_faults(config)
    yield from _value_faults(config)
    for key in ("subject", "case"):
        try:
            if (pattern := getattr(config, key)) and re.compile(pattern).groups != 1:
                yield (key,), "a pattern with one group is wanted"
        except re.error as error:
            yield (key,), f"no regular expression: {error}"
    if config.spacing_mm and (
        len(config.spacing_mm) != config.ndim or not all(0 < mm < 1e4 for mm in config.spacing_mm)
    ):
        yield ("spacing_mm",), f"{config.ndim} positive numbers are wanted"
    if config.pages != "refuse" and (config.pages == "slices") != (config.ndim == 3):
        yield ("pages",), '"slices" goes with ndim = 3, "frames" with ndim = 2'


def _name_faults(config: FolderConfig) -> Iterator[Fault]:
    try:
        if safe_id(config.name) != config.name:
            yield ("name",), f"write {safe_id(config.name)}"
    except BenchError as error:
        yield ("name",), f"{error.what}: {error.mend}"
    for key in ("licence", "citation", "modality"):
        if not getattr(config, key).strip():
            yield (key,), "is empty"
    for name in config.labels:
        if not name.strip() or name in ("background", "ignore"):
            yield ("labels", name), f"'{name}' is no structure; background and ignore are keys of their own"


def _place_faults(config: FolderConfig) -> Iterator[Fault]:
    if bool(config.images) == bool(config.channels):
        yield ("images",), "give either images or [channels]"
    if config.rgb and config.channels:
        yield ("rgb",), "goes with images, not with [channels]"
    if bool(config.masks) != bool(config.labels):
        yield ("masks" if config.masks else "labels",), "masks and labels go together"
    if isinstance(config.masks, dict) and len(config.masks) > _MOST:
        yield ("masks",), f"at most {_MOST} structures have masks of their own"
    if isinstance(config.masks, dict) and config.masks.keys() != config.labels.keys():
        yield ("masks",), f"each structure has one: {', '.join(config.labels)}"
    yield from _pattern_faults(config)
    for overlap in config.overlaps:
        if len(set(overlap)) < 2 or not set(overlap) <= config.labels.keys() or not isinstance(config.masks, dict):
            yield ("overlaps",), f"{list(overlap)}: two or more structures with masks of their own"


def _pattern_faults(config: FolderConfig) -> Iterator[Fault]:
    places = {"images": config.places, "masks": config.mask_places}
    said = [(key, pattern) for key, place in places.items() for patterns in place.values() for pattern in patterns]
    said += [("exclude", pattern) for pattern in listed(config.exclude)]
    said += [("test", pattern) for pattern in listed(config.test)]
    for key, pattern in said:
        if pattern.startswith(("/", "~")) or "\\" in pattern or ".." in pattern.split("/"):
            yield (key,), f"'{pattern}' leads out of the folder"
        if re.search(r"\*\{stem\}|\{stem\}\*|\{stem\}.*\{stem\}", pattern):
            yield (key,), f"'{pattern}': where {{stem}} ends cannot be told"


def _value_faults(config: FolderConfig) -> Iterator[Fault]:
    said: dict[tuple[str, ...], tuple[Value, ...]] = {
        ("labels", name): values for name, values in config.values.items()
    }
    said |= {("background",): config.ground, ("ignore",): of(config.ignore)} if config.labels else {}
    taken: dict[int, tuple[str, ...]] = {}
    for keys, values in said.items():
        if keys[0] == "labels" and not values:
            yield keys, "has no value"
        for value in values:
            if (isinstance(value, str) and value.startswith("#")) != config.coloured:
                yield keys, "greys and colours are mixed"
            try:
                numbers = span(value)
            except ValueError as error:
                yield keys, str(error)
                continue
            # Masks of their own may say the same value for every structure.
            own = keys if isinstance(config.masks, dict) and keys[0] == "labels" else ()
            if clash := next((taken[n] for n in numbers if taken.get(n, keys) != keys and not own), None):
                yield keys, f"{value} is also {'.'.join(clash)}"
            taken.update(dict.fromkeys(numbers, keys))
