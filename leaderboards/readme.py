"""The tables inside a text somebody wrote: blocks between two comments, made anew from rows."""

import re
from collections.abc import Sequence
from fnmatch import fnmatch

from converters.errors import BenchError
from leaderboards import columns, render
from leaderboards.table import Row

MARKER = re.compile(r"(<!-- table:(\S+) -->\n).*?(<!-- /table -->)", re.DOTALL)


def fill(text: str, rows: Sequence[Row]) -> str:
    """The text with each block from `<!-- table:NAME -->` to `<!-- /table -->` made anew; NAME is a dataset or a glob.

    Raises:
        BenchError: no block, or a block for which there is no row.
    """
    datasets = sorted({row.section.dataset for row in rows})

    def block(match: re.Match[str]) -> str:
        chosen = [row for row in rows if fnmatch(row.section.dataset, match[2])]
        if not chosen:
            raise BenchError(
                f"no record for the table '{match[2]}'", mend=f"datasets with records: {', '.join(datasets)}"
            )
        made = "\n".join(render.markdown(table) for table in columns.tables(chosen))
        return f"{match[1]}\n{made}\n{match[3]}"

    filled, blocks = MARKER.subn(block, text)
    if not blocks:
        raise BenchError(
            "no block to fill", mend="write <!-- table:DATASET --> and <!-- /table --> on lines of their own"
        )
    return filled
