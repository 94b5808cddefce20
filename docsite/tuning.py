"""The table of docs/presets.md, made by `make presets`: what was compared before the preset `quick` was fixed."""

import re
import sys
from pathlib import Path

from converters.errors import BenchError
from converters.files import write_bytes
from docsite.markdown import ROOT, table
from leaderboards import wording
from leaderboards.collect import load
from leaderboards.record import Record
from leaderboards.summary import leading
from leaderboards.table import Row, rows

RECORDS = ROOT / "leaderboards" / "tuning"  # apart from results/: their `test` list is the validation patients
PAGE = ROOT / "docs" / "presets.md"
_BLOCK = re.compile(r"(?<=<!-- tuning:quick -->\n).*?(?=<!-- /tuning -->)", re.DOTALL)
_HEAD = (
    "slices",
    "centred",
    "batch x steps",
    "labels",
    "method",
    "Dice",
    "95 % interval",
    "over `supervised`",
    "minutes",
)


def fill(text: str, folder: Path) -> str:
    """The text with what lies between `<!-- tuning:quick -->` and `<!-- /tuning -->` made anew from the records.

    Rows of one setting stand together, `supervised` first.

    Raises:
        BenchError: the folder holds no record.
    """
    records = {record.id(): record for record in load(sorted(folder.glob("*.json"))).records}
    if not records:
        raise BenchError("no record of a comparison", where=folder, mend="check out the whole repository")
    made = [(records[row.runs[0]], row) for row in rows(records.values())[0]]
    lines = [_line(record, row) for record, row in sorted(made, key=lambda pair: _order(*pair))]
    return _BLOCK.sub(f"\n{table(_HEAD, lines)}\n\n", text)


def _order(record: Record, row: Row) -> tuple[object, ...]:
    train = record.recipe["train"]
    settings = str(train["grid"]), train["patch"], train["steps"]
    return *settings, record.protocol, row.method != "supervised", row.method, str(train["options"])


def _line(record: Record, row: Row) -> tuple[str, ...]:
    train = record.recipe["train"]
    size = " x ".join(str(side) for side in train["patch"])
    slices = f"whole, as {size}" if train["grid"] == "resize" else f"{size} at {train['grid'][0]} mm"
    options = "".join(f", {key} {value}" for key, value in train["options"].items())
    dice = leading(row.macro)[0]
    return (
        slices,
        "-" if train["grid"] == "resize" else f"{train['foreground']:.0%}",
        f"{train['batch']} x {train['steps']}",
        record.protocol,
        f"{row.method}{options}",
        wording.mean(row, definition=dice).text,
        wording.interval(row, definition=dice).text,
        wording.gain(row, definition=dice).text,
        f"{record.train.seconds / 60:.1f}" if record.train else "",
    )


def main() -> int:
    """Fill the page."""
    write_bytes(PAGE, fill(PAGE.read_text(encoding="utf-8"), RECORDS / "quick").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
