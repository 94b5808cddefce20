"""What a study is: data of its own, a sweep of ordinary recipes, and one page made of the records of its runs.

A file of `bench/studies/` is a study; `docs/studies.md` says what each does.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

from bench import studies
from bench.recipe import PHANTOM
from converters import shelf
from converters.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from leaderboards.record import Record
    from leaderboards.site.logs import Log

SWEEP, PAGE = "sweep.toml", "index.md"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed."""

    data: Path
    out: Path
    phantom: bool
    cases: int | None  # of a phantom; None: as many as the study has
    size: str
    seeds: tuple[int, ...]
    jobs: int

    @property
    def prefix(self) -> str:
        """What the names of its datasets begin with."""
        return PHANTOM if self.phantom else ""


class Size(NamedTuple):
    """How large the training is."""

    preset: str
    train: Mapping[str, str]  # key of `train` -> TOML


class Run(NamedTuple):
    """A finished run of the study."""

    record: "Record"
    log: "Log"


class Study(Protocol):
    """A file of `bench/studies/`."""

    SIZES: Mapping[str, Size]  # `demo` is the one of a phantom, `tiny` that of tests
    CASES: int  # people of the phantom

    def prepare(self, asked: Asked) -> None:
        """Make the datasets of the study, where they are not there."""

    def sweep(self, asked: Asked) -> str:
        """The sweep file."""

    def page(self, runs: Sequence[Run]) -> dict[str, bytes]:
        """Files of the page, `index.md` among them, from finished runs alone; the same runs give the same bytes."""


def names() -> list[str]:
    """Every study, as typed."""
    return [stem.replace("_", "-") for stem in shelf.stems(studies)]


def find(name: str) -> Study:
    """The study of that name.

    Raises:
        UsageError: there is none; says which is nearest.
    """
    if name not in names():
        raise unknown_name("study", name, names())
    return cast(Study, shelf.module(studies, "study", name.replace("-", "_")))


def size_of(sizes: Mapping[str, Size], asked: Asked) -> Size:
    """The size asked for.

    Raises:
        UsageError: the study has none of that name.
    """
    if asked.size not in sizes:
        raise unknown_name("size", asked.size, sizes)
    return sizes[asked.size]


def check(study: Study, asked: Asked) -> None:
    """What was typed makes sense.

    Raises:
        UsageError: it does not.
    """
    size_of(study.SIZES, asked)
    if asked.cases is not None and not asked.phantom:
        raise UsageError("--cases says how many made-up people there are", mend="add --phantom, or leave it out")


def head(title: str, runs: Sequence[Run], told: Iterable[str]) -> Iterator[str]:
    """The first lines of a page: what it is, of what it was made, where it ran."""
    records = [run.record for run in runs]
    counted = f"{len(records)} runs" if len(records) != 1 else "one run"
    yield from (f"# {title}", "", f"Made by `bench study` from the records of {counted}; never edited.", "")
    if any(record.dataset.startswith(PHANTOM) for record in records):
        yield from ("**Made-up patients: nothing follows about real ones.**", "")
    yield from told
    machines = sorted({f"{r.machine.get('gpu') or r.machine.get('cpu')}, torch {r.code.get('torch')}" for r in records})
    presets = sorted({str(record.recipe.get("preset")) for record in records})
    yield from ("", f"Preset {', '.join(presets)}; seeds {_seeds(records)}; {'; '.join(machines)}.", "")


def _seeds(records: "Sequence[Record]") -> str:
    return ", ".join(map(str, sorted({record.seed for record in records})))


def table(train: Mapping[str, str], name: str = "train") -> list[str]:
    """A table of a TOML file."""
    return [f"[{name}]", *(f"{key} = {value}" for key, value in train.items()), ""]
