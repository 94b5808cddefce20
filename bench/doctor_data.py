"""Converted datasets under the data root: found, and whether they are what their sidecars say."""

from collections.abc import Iterator
from pathlib import Path

from bench.finding import Finding
from bench.locate import converted
from converters.check import check

SHOWN = 2  # problems of a dataset


def examine(data: Path, *, full: bool) -> Iterator[Finding]:
    """What is there, then each dataset; `full` reads every voxel."""
    folders = converted(data)
    if not folders:
        yield Finding("datasets", f"none in '{data}'", mend="bench demo, or bench convert SOURCE RAW OUT")
        return
    yield Finding("datasets", ", ".join(folder.name for folder in folders), True)
    for folder in folders:
        yield verified(folder, full=full)


def verified(folder: Path, *, full: bool) -> Finding:
    """Whether a dataset is whole: its digests, its splits, every file there; `full`: every voxel as its digest says."""
    name, problems = f"data {folder.name}", check(folder, voxels=full)
    if not problems:
        cases = len(list((folder / "cases").glob("*.json")))
        how = "every voxel is the one that was converted" if full else "every file there (--full reads them)"
        return Finding(name, f"{cases} cases, {how}", True, True)
    more = f" and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    mend = f"bench check '{folder}' lists all; restore the files, or convert again"
    return Finding(name, f"{'; '.join(problems[:SHOWN])}{more}", False, True, mend)
