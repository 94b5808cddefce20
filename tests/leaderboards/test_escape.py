"""Hostile text in every format (faults rows 78, 79): it comes back as it was, and it starts nothing."""

import csv
import html
import io
import re
import string
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from leaderboards.escape import cell, latex, markdown, markup, visible

NASTY = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "'x",
    "＝1",
    "a;=1+1",
    "a|b",
    "a\\|b",
    "a\nb",
    'a"b,c',
    "<script>alert(1)</script>",
    "</script>",
    '"><img src=x onerror=alert(1)>',
    "&lt;b&gt;",
    "_x_",
    "__x__",
    "*x*",
    "[a](b)",
    "![a](b)",
    "\\",
    "a`b",
    "~~x~~",
    "$x$",
    "https://example.org",
    "www.example.org",
    "me@example.org",
    "{#id}",
    "\\input{/etc/passwd}",
    "\\write18{ls}",
    "100 % & more_of $ # ~ ^",
    "^^5cinput",
    "[x]",
    "*",
    "--- `` '' ?` <<",
    "abc\u202ecod.exe",
    "\u2066x",
    "é中文",
    "🫀",
]
TEXT = st.text(st.characters(codec="utf-8"), max_size=120)


@pytest.mark.fault(78)
def test_a_flood_of_text_is_cut():
    assert len(visible("x" * 10_000)) == 80


@pytest.mark.fault(78)
def test_reading_direction_cannot_be_turned():
    assert visible("abc\u202ecod.exe") == "abc\\u202ecod.exe"


@given(TEXT)
def test_what_is_shown_is_printable_and_short(text):
    assert visible(text).isprintable() and len(visible(text)) <= 80


class Page(HTMLParser):
    """Texts, tags and attributes of a fragment."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.values = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += attrs

    def handle_data(self, data):
        self.texts.append(data)


def rendered(text):
    """Texts of the cells of a Markdown table with this text in its first cell, and the tags of the page."""
    source = f"| a | b |\n| --- | --- |\n| {text} | end |\n"
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough").render(source))
    body = "".join(page.texts).split("b\n", 1)[1].strip().removesuffix("end").rstrip("\n")
    return body.strip("\n"), page.tags


@pytest.mark.parametrize("text", NASTY)
def test_text_comes_back_from_a_markdown_table(text):
    shown, tags = rendered(markdown(text))
    assert shown.strip() == visible(text).strip()
    assert set(tags) == {"table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.fault(79)
@given(TEXT)
def test_any_text_takes_one_markdown_cell_and_comes_back(text):
    shown, tags = rendered(markdown(text))
    assert tags.count("td") == 2 and set(tags) == {"table", "thead", "tbody", "tr", "th", "td"}
    assert shown.strip() == visible(text).strip()


def test_markdown_makes_no_link_of_an_address():
    for text in ("https://example.org", "www.example.org", "me@example.org"):
        assert re.search(r"\\[:.@]", markdown(text))
    assert markdown("nsd@2mm:c6-bg-pooled:v1") == "nsd@2mm:c6-bg-pooled:v1"


@pytest.mark.parametrize("text", NASTY)
def test_text_is_text_in_html(text):
    page = Page(f'<td title="{markup(text)}">{markup(text)}</td>')
    assert page.tags == ["td"]
    assert "".join(page.texts) == visible(text) and page.values == [("title", visible(text))]


@pytest.mark.fault(78)
@given(TEXT)
def test_any_text_is_text_in_html(text):
    page = Page(f'<td title="{markup(text)}">{markup(text)}</td>')
    assert page.tags == ["td"] and [name for name, _ in page.values] == ["title"]
    assert html.unescape(markup(text)) == visible(text)


NAMED = {
    "textbackslash": "\\",
    "textasciitilde": "~",
    "textasciicircum": "^",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "ldots": "…",
    "dag": "†",
    "textendash": "–",
}
MATHS = {r"$\pm$": "±", r"$\cdot$": "·", r"$\times$": "×", r"$\geq$": "≥", r"$\leq$": "≤", "$-$": "−"}
TOKEN = re.compile(
    r"(?P<maths>\$(?:\\[a-z]+|-)\$)|\\symbol\{(?P<code>\d+)\}|\\(?P<name>[a-zA-Z]+)\{\}|\\(?P<sign>[{}$&#%_])"
    r"|\{(?P<held>[\[\]*])\}|(?P<dash>-\{\})|(?P<plain>-(?!-)|[^\\{}$&#%_~^-])",
    re.DOTALL,
)


def read(source):
    """What LaTeX would set: every token is one that the escape may write, or the text has got through."""
    found, at = [], 0
    while at < len(source):
        token = TOKEN.match(source, at)
        assert token, f"live at {source[at : at + 20]!r}"
        kind, value = token.lastgroup, token[token.lastgroup]
        tables = {"maths": MATHS, "name": NAMED, "dash": {"-{}": "-"}}
        found.append(chr(int(value)) if kind == "code" else tables.get(kind, {value: value})[value])
        at = token.end()
    return "".join(found)


def letters(text):
    """The text with letters that pdfLaTeX does not have as code points."""
    kept = set(string.printable) | set("±·×≥≤–…†−")
    told = (c if c in kept or c in latex(c) else c.encode("unicode_escape").decode() for c in visible(text))
    return "".join(told)


@pytest.mark.parametrize("text", NASTY)
def test_text_comes_back_from_latex_and_runs_no_command(text):
    assert read(latex(text)) == letters(text)


@pytest.mark.fault(79)
@given(st.text(st.sampled_from("\\{}$&#%_~^-–'`\"[]*<>|,? aé中"), max_size=30) | TEXT)
def test_any_text_comes_back_from_latex(text):
    assert read(latex(text)) == letters(text)


def test_latex_meets_only_letters_it_can_set():
    assert latex("Müller Çelik Łódź") == "Müller Çelik Łódź"
    assert latex("中") == r"\textbackslash{}u4e2d"
    assert not latex("[1]").startswith("[") and not latex("*").startswith("*")


@pytest.mark.fault(79)
@pytest.mark.parametrize("text", NASTY)
def test_text_starts_no_formula_and_comes_back_from_csv(text):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_NONNUMERIC).writerow([cell(text)])
    [[back]] = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert not back.startswith(tuple("=+-@\t\r＝"))
    assert back in {text, f"'{text}"}


@given(TEXT)
def test_taking_one_apostrophe_away_gives_the_text_back(text):
    assert str(cell(text)).removeprefix("'") == text or (cell(text) == text and not text.startswith("'"))


@pytest.mark.parametrize("value", [-100, -3.5, 0, None, True])
def test_a_number_stays_a_number_in_csv(value):
    assert cell(value) is value
