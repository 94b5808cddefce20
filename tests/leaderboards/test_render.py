"""Tables -> Markdown, LaTeX, HTML: structure, hostile names (faults rows 78, 79), the same bytes."""

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from leaderboards import render
from leaderboards.columns import Block, Table, tables
from leaderboards.escape import visible
from leaderboards.table import rows
from leaderboards.wording import Cell

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img onerror=alert(1) src=x>',
    "a\u202eb",
    "a|b\nc",
    "\\input{x} \\write18{y} & % $ _ # ~ ^",
    "[x]",
    "x" * 10_000,
]
FORMATS = (render.markdown, render.latex, render.html)


def hostile(text):
    """A table in which everything anybody can name is this text."""
    rows = (Block(text, ((Cell(text), Cell("1", 1.0)), (Cell(text), Cell("2", 2.0)))),)
    return Table(title=text, columns=(text, "Dice"), blocks=rows, notes=(text, text))


class Page(HTMLParser):
    """Tags with their attributes, and the texts of a fragment; tags must close in the order they were opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)
        self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data

    def told(self, tag):
        return [text.rstrip("\n") for (found, _), text in zip(self.tags, self.texts, strict=True) if found == tag]


@pytest.mark.fault(78)
@pytest.mark.parametrize("text", HOSTILE)
def test_html_holds_no_tag_that_the_table_did_not_make(text):
    page = Page(render.html(hostile(text)))
    allowed = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"}
    assert {tag for tag, _ in page.tags} == allowed
    assert {key for _, values in page.tags for key in values} <= {
        "scope",
        "colspan",
        "class",
        "data-value",
        "data-sort",
    }
    assert page.told("caption") == [visible(text, render.LONG)]
    assert page.told("p") == [visible(text, render.LONG)] * 2


@pytest.mark.fault(79)
@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_makes_one_table_of_hostile_names(text):
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(render.markdown(hostile(text)))
    page = Page(html.replace("<br>", ""))
    assert {tag for tag, _ in page.tags} <= {"p", "strong", "table", "thead", "tbody", "tr", "th", "td", "sub"}
    assert [tag for tag, _ in page.tags].count("td") == 2 * 3
    assert page.told("td")[2] == visible(text)


@pytest.mark.fault(79)
@pytest.mark.parametrize("text", HOSTILE)
def test_latex_rows_have_their_cells_and_every_environment_ends(text):
    source = render.latex(hostile(text))
    live = set(re.findall(r"\\([a-zA-Z]+)", source))
    made = {"begin", "end", "centering", "caption", "toprule", "midrule", "bottomrule", "multicolumn", "textit", "par"}
    marks = {"footnotesize", "textbackslash", "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar"}
    assert live <= made | marks | {"symbol", "ldots", "dag", "textendash"}
    for environment in ("table", "tabular"):
        assert source.count(rf"\begin{{{environment}}}") == source.count(rf"\end{{{environment}}}") == 1
    body = source.split("\\toprule\n")[1].split("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if not line.startswith(r"\m")]
    assert [len(re.findall(r"(?<!\\)&", line)) for line in lines] == [1, 1, 1]
    assert all(line.endswith(r" \\") and not line.startswith(("[", "*")) for line in lines)
    bare = re.sub(r"\\[{}]", "", source)
    assert bare.count("{") == bare.count("}")
    assert "%" not in re.sub(r"\\%", "", source)


def test_html_sorts_by_numbers_and_only_inside_a_block(make, score):
    made, _ = rows([make((score(tp=8),)), make((score(tp=6),), method="gce"), make((score(tp=7),), protocol="full")])
    page = Page(render.html(tables(made)[0]))
    assert [tag for tag, _ in page.tags].count("tbody") == 2
    headings = [values for tag, values in page.tags if tag == "th" and values["scope"] == "col"]
    assert headings[0]["data-sort"] == "text" and headings[1]["data-sort"] == "number"
    values = [values for tag, values in page.tags if tag == "td"]
    assert "0.8" in {found.get("data-value") for found in values}


def test_speeds_of_several_machines_carry_no_number_to_sort_by(make):
    made, _ = rows([make(), make(method="gce", machine={"cpu": "Other"})])
    table = tables(made)[0]
    assert set(table.unsorted) == {"train samples /s", "s/case", "peak MiB"} and "machine" in table.columns
    page = Page(render.html(table))
    kinds = {text.strip(): values["data-sort"] for (tag, values), text in zip(page.tags, page.texts, strict=True)
             if tag == "th" and values["scope"] == "col"}  # fmt: skip
    assert [kinds[name] for name in table.unsorted] == ["none"] * 3
    values = {values.get("data-value") for tag, values in page.tags if tag == "td"}
    assert not values & {"50.0", "2.0", "900.0"}
    assert tables(rows([make(), make(method="gce")])[0])[0].unsorted == ()


def test_the_same_records_give_the_same_bytes(make, score):
    records = [make((score(tp=tp),), seed=tp, method=m) for tp in (3, 8) for m in ("gce", "supervised")]
    for form in FORMATS:
        assert [form(t) for t in tables(rows(records)[0])] == [form(t) for t in tables(rows(records[::-1])[0])]
