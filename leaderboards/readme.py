"""The tables inside a text somebody wrote: blocks between two comments, made anew from rows."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from converters.errors import BenchError
from leaderboards import columns, render
from leaderboards.table import Row

MARKER = re.compile(
    r"(?P<head><!-- table:(?P<dataset>[^\s/]+)(?:/(?P<protocols>\S+))?(?P<brief> brief)? -->\n)"
    r".*?(?P<end><!-- /table -->)",
    re.DOTALL,
)


def fill(text: str, rows: Sequence[Row]) -> str:
    """The text with each block from `<!-- table:NAME -->` to `<!-- /table -->` made anew.

    NAME is a dataset, or DATASET/PROTOCOL,PROTOCOL, or globs of these; ` brief` after it leaves scores and their
    intervals, and keeps ranks, claims and cost to the pages.

    Raises:
        BenchError: no block, or a block for which there is no row.
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
    made = "\n".join(render.markdown(table) for table in columns.tables(chosen, brief=bool(found["brief"])))
    return f"{found['head']}\n{made}\n{found['end']}"
