"""List or clear the prepared cases that runs share."""

import time
from pathlib import Path

import click

from bench.options import CACHE, DRY_RUN, JSON
from bench.output import print_json, print_table, say

DAY = 86400


@click.command()
@click.argument("action", type=click.Choice(["ls", "clear"]))
@CACHE
@click.option("--dataset", default=None, help="Packs of this dataset alone.")
@click.option("--unused", type=click.IntRange(min=0), default=0, metavar="DAYS", help="Unused for so many days.")
@DRY_RUN
@JSON
def command(action: str, cache: str | None, dataset: str | None, unused: int, dry_run: bool, as_json: bool) -> None:
    """List the packs of prepared cases, or clear them.

    A pack can be made again at any time; a run that is at work keeps what it has opened.
    """
    from baselines.pack import discard, packs, sweep
    from bench.locate import cache_folder

    root = cache_folder(cache)
    if root is None:
        say("there is no cache: prepared cases are kept in memory")
        return
    rows: list[tuple[str, ...]] = []
    for folder, index, used in packs(root):
        days = (time.time() - used) / DAY
        if dataset not in (None, index.made_of.get("dataset")) or days < unused:
            continue
        made_of, cases = index.made_of, len({entry.name.partition("/")[0] for entry in index.entries})
        if as_json:
            print_json(made_of | {"folder": str(folder), "bytes": index.bytes, "cases": cases})
        rows.append((made_of["dataset"], made_of["part"], str(cases), _mib(index.bytes), f"{days:.1f}", folder.name))
        if action == "clear" and not dry_run:
            discard(folder)
    if action == "clear" and not dry_run:
        sweep(root)
    if not as_json:
        print_table(("dataset", "part", "cases", "MiB", "days unused", "pack"), rows or [("none", "", "", "", "", "")])
        _summary(action, dry_run, len(rows), root)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f}"


def _summary(action: str, dry_run: bool, count: int, root: Path) -> None:
    if action == "clear":
        say(f"{'would remove' if dry_run else 'removed'} {count} packs of {root}")
