"""`--dataset NAME` -> the converted folder, or what to do where there is none; where the cache lies."""

import os
from pathlib import Path

from bench import recipe
from converters.dataset import Dataset
from converters.errors import BenchError, unknown_name


def locate(typed: str, data: Path) -> Dataset:
    """The dataset of that name under the data folder.

    Raises:
        UsageError: neither a known dataset nor a folder there; says which is nearest.
        BenchError: a known dataset that has not been converted yet; says how to.
    """
    name = recipe.dataset_name(typed)
    if (data / name / "dataset.json").is_file():
        return Dataset.load(data / name)
    bare = typed.removeprefix(recipe.PHANTOM)
    if bare not in recipe.names():
        raise unknown_name("dataset", typed, {*recipe.names(), *(folder.name for folder in converted(data))})
    raise BenchError(f"there is no {name} in '{data}'", where=data, mend=_how_to(typed, name, data))


def cache_folder(typed: str | None) -> Path | None:
    """The folder of packs: as typed, `none` for memory alone, else the user's cache folder where it can be written."""
    if typed is not None:
        return None if typed == "none" else Path(typed)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "frugalseg"
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return folder if os.access(there, os.W_OK) else None


def converted(data: Path) -> list[Path]:
    """The dataset folders in a data folder, in order of name."""
    return sorted(path.parent for path in data.glob("*/dataset.json"))


def _how_to(typed: str, name: str, data: Path) -> str:
    from converters.source import names as sources

    source = name.removeprefix(recipe.PHANTOM).split("-")[0]
    made_up = f"bench phantom {source} raw/{source} --cases 12 && bench convert {source} raw/{source} {data}"
    if typed.startswith(recipe.PHANTOM):
        return made_up
    if source not in sources():
        return f"describe your folder in frugalseg.toml, then: bench convert folder FOLDER {data} --name {name}"
    return (
        f"unzip {source.upper()} as its organiser gives it, then: bench convert {source} FOLDER {data}\n"
        f"        or try made-up patients first: {made_up} && bench run --dataset {recipe.PHANTOM}{typed}"
    )
