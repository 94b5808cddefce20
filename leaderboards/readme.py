"""The tables inside a text somebody wrote: blocks between two comments, made anew from rows."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from converters.errors import BenchError
from leaderboards import columns, render
from leaderboards.table import Row

MARKER = re.compile(
    r"(?P<head><!-- table:(?P<dataset>[^\s/]+)(?:/(?P<protocols>\S+))?(?P<brief> brief)?"
    r"(?: without:(?P<without>\S+))? -->\n)"
    r".*?(?P<end><!-- /table -->)",
    re.DOTALL,
)


def fill(text: str, rows: Sequence[Row]) -> str:
    """The text with each block from `<!-- table:NAME -->` to `<!-- /table -->` made anew.

    NAME is a dataset, or DATASET/PROTOCOL,PROTOCOL, or globs of these; ` brief` after it leaves scores and their
    intervals, and keeps ranks, claims and cost to the pages; ` without:GLOB,GLOB` at the end leaves out rows by what
    sets their recipes apart (`*steps=500`).

    Raises:
        BenchError: no block, or a block for which there is no row, or none to leave out.
    """
    if not MARKER.search(text):
        raise BenchError(
            "no block to fill", mend="write <!-- table:DATASET --> and <!-- /table --> on lines of their own"
        )
    return MARKER.sub(lambda found: _block(found, rows), text)


def _block(found: re.Match[str], rows: Sequence[Row]) -> str:
    dataset, protocols = found["dataset"], found["protocols"] or "*"
    of = [row for row in rows if fnmatch(row.section.dataset, dataset)]
    chosen = [row for row in of if any(fnmatch(row.section.protocol, one) for one in protocols.split(","))]
    if not chosen:
        there = sorted({row.section.protocol for row in of} or {row.section.dataset for row in rows})
        raise BenchError(
            f"no record for the table '{dataset}/{protocols}'" if of else f"no record for the table '{dataset}'",
            mend=f"{'protocols' if of else 'datasets'} with records: {', '.join(there)}",
        )
    chosen = _without(chosen, found["without"].split(",")) if found["without"] else chosen
    made = "\n".join(render.markdown(table) for table in columns.tables(chosen, brief=bool(found["brief"])))
    return f"{found['head']}\n{made}\n{found['end']}"


def _without(rows: Sequence[Row], globs: Sequence[str]) -> list[Row]:
    idle = [glob for glob in globs if not any(fnmatch(row.variant, glob) for row in rows)]
    kept = [row for row in rows if not any(fnmatch(row.variant, glob) for glob in globs)]
    if idle or not kept:
        told = ", ".join(sorted({row.variant for row in rows} - {""}))
        raise BenchError(
            f"'{idle[0]}' leaves out no row of a table" if idle else f"without {','.join(globs)} a table has no row",
            mend=f"rows are set apart by: {told or 'nothing'}",
        )
    return kept
