"""Pictures for the pages of runs: the worst, the median and the best test case, where they may be shown."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from baselines.task import LABELS
from bench.output import Advance
from converters.errors import BenchError
from leaderboards.record import Record
from leaderboards.site.content import Picture, made_up

if TYPE_CHECKING:
    from bench.pictures import Extreme

SLICES = 3
_PNG = b"\x89PNG\r\n\x1a\n"


class Wanted(NamedTuple):
    """Of which runs, and where their datasets lie."""

    which: str  # none, phantoms or all
    data: Path


def pictures(
    files: Mapping[str, Path], wanted: Wanted, problems: list[str], advance: Advance
) -> dict[str, list[Picture]]:
    """Record id -> its pictures: drawn from the predictions of a run folder, or read from beside a committed record.

    Real patients are drawn only where `all` is wanted; pictures of them beside committed records are never read.
    """
    found: dict[str, list[Picture]] = {}
    hidden = 0
    for run, file in files.items():
        advance(1)
        if wanted.which == "none":
            continue
        record = Record.load(file)
        if record.task != LABELS:
            continue
        local = file.name == "record.json" and (file.parent / "predictions").is_dir()
        if not made_up(record.dataset) and (not local or wanted.which != "all"):
            hidden += local
            continue
        try:
            found[run] = _drawn(record, file.parent, wanted.data) if local else _kept(record, file)
        except BenchError as error:
            problems.append(f"{file}: {error.what}; no pictures of its cases")
    if hidden:
        problems.append(
            f"{hidden} runs on real patients are shown without pictures of cases; --overlays all draws them"
        )
    return {run: made for run, made in found.items() if made}


def _drawn(record: Record, folder: Path, data: Path) -> list[Picture]:
    from bench.locate import locate
    from bench.pictures import extremes, overlay

    dataset = locate(record.dataset, data)
    if dataset.file.bench.content_sha256 != record.digests.get("dataset"):
        raise BenchError(f"{record.dataset} is not the version it was scored on", where=data)
    cases = {case.id: case for case in dataset.cases if case.label is not None}
    there = {name: folder / "predictions" / f"{name}.nii.gz" for name in cases}
    made = []
    for one in extremes(record, [name for name, path in there.items() if path.is_file()]):
        _check(record, one, there[one.case])
        stream = io.BytesIO()
        overlay(dataset, cases[one.case], there[one.case], SLICES).save(stream, format="PNG", optimize=True)
        made.append(Picture(*one, stream.getvalue()))
    return made


def _check(record: Record, one: "Extreme", prediction: Path) -> None:
    """Raise where a prediction is not the one that was scored."""
    from converters.volume import data_sha256, read_label

    known = record.digests.get(f"prediction:{one.case}")
    if known is not None and known != data_sha256(read_label(prediction)):
        raise BenchError(f"the prediction of {one.case} is not the one that was scored", where=prediction)


def _kept(record: Record, file: Path) -> list[Picture]:
    """Pictures committed beside a record: `a.worst.png`, `a.median.png`, `a.best.png` for `a.json`."""
    from bench.pictures import extremes

    made = []
    for one in extremes(record, [score.case for score in record.cases]):
        path = file.with_name(f"{file.name.removesuffix('.json')}.{one.rank}.png")
        if not path.is_file():
            continue
        if not (png := path.read_bytes()).startswith(_PNG):
            raise BenchError(f"{path.name} is no PNG", where=path)
        made.append(Picture(*one, png))
    return made
