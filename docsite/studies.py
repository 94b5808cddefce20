"""docs/studies/NAME: the page of each study on made-up patients, made by `make coverage` from the committed records."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bench.recipe import PHANTOM
from bench.study import Run, find, names
from converters.files import write_bytes
from docsite.markdown import ROOT
from leaderboards.collect import RESULTS as COMMITTED
from leaderboards.collect import files
from leaderboards.record import Record
from leaderboards.site import logs

RESULTS = ROOT.joinpath(*COMMITTED)
FOLDER = ROOT / "docs" / "studies"


def pages(results: Path) -> dict[str, bytes]:
    """Place below docs/studies -> file, of every study that has a record there."""
    made: dict[str, bytes] = {}
    for name in names():
        if runs := [*_runs(results, name)]:
            made |= {f"{name}/{place}": data for place, data in find(name).page(runs).items()}
    return made


def _runs(results: Path, name: str) -> Iterator[Run]:
    """Its finished runs; datasets of a study have names that begin with its own."""
    for file in files([results]):
        if file.parent.name.startswith(f"{PHANTOM}{name}"):
            record = Record.load(file)
            if record.status == "done":
                yield Run(record, logs.read(logs.beside(file)))


def main() -> int:
    """Write them all; what no record is of is no longer there."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for place, data in pages(RESULTS).items():
        write_bytes(FOLDER / place, data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
