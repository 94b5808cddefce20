"""What there is to name: found by listing folders, so that nothing heavy is imported to tell it."""

import ast
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from converters.errors import BenchError
from converters.files import natural_key, read_json

_SUITE = Path(__file__).resolve().parents[1]


class Entry(msgspec.Struct):
    """One thing a person can name."""

    kind: str
    name: str
    about: str = ""
    facts: dict[str, object] = {}


def sources() -> Iterator[Entry]:
    """What `bench convert` reads."""
    return _files("source", _SUITE / "converters" / "sources")


def exports() -> Iterator[Entry]:
    """What `bench export --to` takes."""
    return _files("export", _SUITE / "converters" / "exports")


def methods() -> Iterator[Entry]:
    """What `--method` takes, without plugins."""
    return _files("method", _SUITE / "baselines" / "methods")


def networks() -> Iterator[Entry]:
    """What `train.net.arch` takes beside `unet` and the architectures of smp."""
    return _files("network", _SUITE / "baselines" / "networks")


def tasks() -> Iterator[Entry]:
    """What `--task` takes beside `labels`."""
    return _files("task", _SUITE / "baselines" / "tasks")


def profiles() -> Iterator[Entry]:
    """What `bench score --profile` takes."""
    return _files("profile", _SUITE / "bench" / "profiles")


def phantoms() -> list[str]:
    """Sources of which made-up patients can be written: a phantom has the name and the layout of its source."""
    made_up = {module.name for module in pkgutil.iter_modules([str(_SUITE / "converters" / "phantoms")])}
    return [entry.name for entry in sources() if entry.name in made_up]


def protocols() -> Iterator[Entry]:
    """What `--protocol` takes."""
    from bench.protocols import PROTOCOLS, numbers

    for one in PROTOCOLS:
        about = f"{one.percent} % of the training subjects are labelled, annotator {one.annotator}"
        about += f" for {one.ratio_percent} % of these" if one.ratio_percent < 100 else ""
        about += f"; {told}" if (told := numbers(one)) else ""
        yield Entry("protocol", one.name, about, msgspec.to_builtins(one))


def datasets(data: Path) -> Iterator[Entry]:
    """Datasets with a recipe, and the folders under the data root; `facts["here"]` says which are ready."""
    from bench import recipe
    from bench.locate import converted

    folders = {folder.name: folder for folder in converted(data)}
    aliases: dict[str, list[str]] = {}
    for typed in recipe.names():
        aliases.setdefault(recipe.dataset_name(typed), []).append(typed)
    for name in sorted({*aliases, *folders}, key=natural_key):
        also = sorted({*aliases.get(name, [])} - {name})
        entry = _dataset(name, folders.get(name), {"here": name in folders, "also": also})
        entry.about = f"also {', '.join(also)}: {entry.about}" if also else entry.about
        yield entry


def _dataset(name: str, folder: Path | None, facts: dict[str, object]) -> Entry:
    if folder is None:
        return Entry("dataset", name, "not converted yet", facts)
    from converters.description import DatasetFile

    try:
        file = read_json(folder / "dataset.json", DatasetFile)
    except BenchError as error:
        return Entry("dataset", name, error.what, facts | {"here": False})
    facts |= {
        "folder": str(folder),
        "version": file.bench.version,
        "licence": file.licence,
        "ndim": file.bench.ndim,
        "cases": len(list((folder / "cases").glob("*.json"))),
        "channels": [channel.name for channel in file.bench.channels],
        "labels": [label for label, code in file.labels.items() if code != 0],
        "splits": sorted(path.stem for path in (folder / "splits").glob("*.json")),
        "annotation_sets": [annotations.id for annotations in file.bench.annotation_sets],
        "content": file.bench.content_sha256[:12],
    }
    channels, labels, splits = (" ".join(facts[key]) for key in ("channels", "labels", "splits"))  # type: ignore[arg-type]
    return Entry("dataset", name, f"{facts['cases']} cases; {channels}; {labels}; splits {splits}", facts)


def runs(folder: Path) -> Iterator[Entry]:
    """Run folders: done, refused and failed ones."""
    from leaderboards.record import Record

    for path in _records(folder):
        try:
            record = Record.load(path)
        except BenchError as error:
            yield Entry("run", str(path.parent), error.what.partition("\n")[0], {"status": "unreadable"})
            continue
        fields = ("status", "reason", "dataset", "split", "protocol", "draw", "method", "seed", "fold")
        facts: dict[str, object] = {field: getattr(record, field) for field in fields}
        about = f"{record.status}; {record.method}, {record.protocol} of {record.dataset}, seed {record.seed}"
        yield Entry("run", str(path.parent), f"{about}: {record.reason}" if record.reason else about, facts)


def _records(folder: Path) -> list[Path]:
    found = []
    for root, _, files in os.walk(folder):
        failed = sorted(name for name in files if name.startswith("failed-") and name.endswith(".json"))
        # A later success or refusal counts; else the last failure.
        found += [Path(root) / name for name in (["record.json"] if "record.json" in files else failed[-1:])]
    return sorted(found, key=natural_key)


def _files(kind: str, folder: Path) -> Iterator[Entry]:
    for module in pkgutil.iter_modules([str(folder)]):
        yield Entry(kind, module.name, first_line(folder / f"{module.name}.py"))


def first_line(path: Path) -> str:
    """First line of a Python file's docstring; the file is read, not run."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
