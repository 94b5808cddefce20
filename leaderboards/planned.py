"""Runs that a sweep is to make, committed before it makes them: without a record, each is a row `not run`."""

import itertools
from collections.abc import Iterable
from pathlib import Path

from converters.files import Strict, natural_key, read_json
from leaderboards.collect import RESULTS
from leaderboards.columns import Block, Table
from leaderboards.record import Record
from leaderboards.wording import Cell

FOLDER = "planned"  # beside the folder of records
NOT_RUN = "not run"


class Run(Strict):
    """One run of a sweep, as far as it can be said before it is made."""

    dataset: str
    protocol: str
    method: str
    seed: int
    recipe: str  # the digest that its record will hold
    network: str = ""  # where it is not our U-Net


class Sweep(Strict):
    """What a committed sweep file stands for."""

    command: str  # what makes its runs
    runs: tuple[Run, ...]


def load(results: Path) -> list[Sweep]:
    """The sweeps planned beside a folder of records, in natural order; none where nobody planned any.

    Raises:
        BenchError: a file there is no plan; names it.
    """
    folder = results.parent / FOLDER
    files = sorted(folder.glob("*.json"), key=natural_key) if folder.is_dir() else []
    return [read_json(file, Sweep) for file in files]


def of(paths: Iterable[Path]) -> list[Sweep]:
    """Those planned beside the committed records among these; anybody else's folder may be called so, too."""
    return [sweep for path in paths if path.resolve().parts[-2:] == RESULTS for sweep in load(path)]


def tables(sweeps: Iterable[Sweep], records: Iterable[Record], dataset: str) -> list[Table]:
    """A row `not run` for every planned run of the dataset that has no record; no table where each has one."""
    made = {record.digests.get("recipe") for record in records}
    open_: dict[str, tuple[Run, str]] = {}  # two sweeps may name one run
    for sweep in sweeps:
        for run in sweep.runs:
            if run.dataset == dataset and run.recipe not in made:
                open_.setdefault(run.recipe, (run, sweep.command))
    if not open_:
        return []
    # Within a protocol, the order of the sweep.
    rows = sorted(open_.values(), key=lambda pair: natural_key(pair[0].protocol))
    blocks = [
        Block(protocol, tuple((Cell(_name(run)), Cell(NOT_RUN), Cell(str(run.seed)), Cell(by)) for run, by in members))
        for protocol, members in itertools.groupby(rows, lambda pair: pair[0].protocol)
    ]
    return [
        Table(
            title=f"{dataset} · planned, and {NOT_RUN} yet",
            columns=("method", "score", "seed", "made by"),
            blocks=tuple(blocks),
            notes=(f"{len(open_)} runs that committed sweeps will make; nothing is known of them",),
        )
    ]


def _name(run: Run) -> str:
    return f"{run.method} ({run.network})" if run.network else run.method
