"""Tables in a terminal: they fit, no word is broken, what is left out is named."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bench.output import LONGEST, say
from bench.terminal import KEPT, lay_out
from leaderboards.columns import Block, Table
from leaderboards.wording import Cell

NUMBERS = ("0.892 ± 0.003", "[0.876, 0.908]", "5.4 (2.3–7.9)", "0.893", "1 [1–2]", "Some CPU, 2 cores", "26.5", "0.612")
COLUMNS = (
    "method",
    "Dice",
    "95 % interval",
    "HD95 mm, median (IQR)",
    "NSD@2mm",
    "rank",
    "machine",
    "samples/s",
    "s/case",
)


def table(method="supervised", title="full · labels seen: dense", notes=("a note",)):
    row = tuple(Cell(text) for text in (method, *NUMBERS))
    return Table(title="acdc · split ssl4mis", columns=COLUMNS, blocks=(Block(title, (row, row)),), notes=notes)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_a_table_fits_and_names_what_it_leaves_out(width):
    text = lay_out(table(), width)
    assert max(map(len, text.splitlines())) <= width
    head = " ".join(text.split("─")[0].split())
    shown = [name for name in COLUMNS if all(re.search(rf"(?<!\S){re.escape(w)}(?!\S)", head) for w in name.split())]
    left = re.search(r"no room for: ([^()]*) \(", " ".join(text.split()))
    named = left[1].split(", ") if left else []
    assert shown[:KEPT] == list(COLUMNS[:KEPT]) and [*shown, *named] == list(COLUMNS)


def test_no_speed_stands_without_its_machine():
    for width in range(60, 140):
        text = lay_out(table(), width).partition("no room")[0]
        assert "Some CPU" in text or ("26.5" not in text and "0.612" not in text)


WORDS = st.lists(st.text("abcé中", min_size=1, max_size=9), min_size=1, max_size=8).map(" ".join)


@given(WORDS, WORDS, st.integers(40, 120))
def test_no_word_is_broken_or_lost(method, title, width):
    text = lay_out(table(method, title, (title,)), width)
    assert set(method.split()) <= set(text.split())
    assert set(title.split()) <= set(text.split())
    assert set(" ".join(NUMBERS[:3]).split()) <= set(text.split())


def test_wide_letters_keep_the_columns_in_line():
    lines = lay_out(table(method="方法"), 200).splitlines()
    head = next(line for line in lines if line.startswith("method"))
    body = next(line for line in lines if line.startswith("方法"))
    assert cell_len(body[: body.index("0.892")]) == head.index("Dice")


def test_what_is_said_keeps_its_lines_and_moves_no_cursor(capsys):
    say("red\x1b[31m \u202e\r" + "x" * 9000 + "\n  mend  nothing")
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(r"red\x1b[31m \u202e\rxxx") and len(first) == LONGEST
    assert second == "  mend  nothing"


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_nothing_moves_the_cursor(text):
    shown = lay_out(table(text, text, (text,)), 100)
    assert all(character.isprintable() for character in shown.replace("\n", ""))
