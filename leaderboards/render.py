"""Tables -> text: GitHub's Markdown, LaTeX (booktabs), HTML. The same tables give the same bytes."""

from collections.abc import Iterable, Sequence

from leaderboards import escape
from leaderboards.columns import Table
from leaderboards.wording import Cell

LONG = 20 * escape.LONGEST  # characters of a title or a note


def markdown(table: Table) -> str:
    """GitHub's Markdown: the title, one table with a line of its own before each block, the notes."""
    empty = [""] * (len(table.columns) - 1)
    lines = [f"**{escape.markdown(table.title, LONG)}**", "", _bars(escape.markdown(name) for name in table.columns)]
    lines += ["|" + " --- |" * len(table.columns)]
    for block in table.blocks:
        lines += [_bars([f"**{escape.markdown(block.title, LONG)}**", *empty])]
        lines += [_bars(escape.markdown(cell.text) for cell in row) for row in block.rows]
    notes = "<br>".join(escape.markdown(note, LONG) for note in table.notes)
    return "\n".join([*lines, "", f"<sub>{notes}</sub>", ""])


def _bars(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def latex(table: Table) -> str:
    r"""A `table` environment for `\input`; needs the package booktabs and no other."""
    width = len(table.columns)
    align = "".join("r" if numeric else "l" for numeric in _numeric(table))
    title = escape.latex(table.title, LONG)
    lines = [r"\begin{table}", r"\centering", rf"\caption{{{title}}}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [_ampersands(escape.latex(name) for name in table.columns)]
    for block in table.blocks:
        heading = escape.latex(block.title, LONG)
        lines += [r"\midrule", rf"\multicolumn{{{width}}}{{l}}{{\textit{{{heading}}}}} \\"]
        lines += [_ampersands(escape.latex(cell.text) for cell in row) for row in block.rows]
    notes = [rf"\par\footnotesize {escape.latex(note, LONG)}" for note in table.notes]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *notes, r"\end{table}", ""])


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def html(table: Table) -> str:
    """A `<table>` and its notes, for the body of a page.

    Each block is a `<tbody>` of its own: a script may sort the rows of one and must not move them into another. A
    number carries itself in `data-value`; a column whose heading says `data-sort="none"` holds numbers of several
    machines and has none.
    """
    head = "".join(_heading(name, name in table.unsorted, number) for name, number in _titled(table))
    lines = ["<table>", f"<caption>{escape.markup(table.title, LONG)}</caption>", f"<thead><tr>{head}</tr></thead>"]
    for block in table.blocks:
        title = escape.markup(block.title, LONG)
        lines += ["<tbody>", f'<tr><th scope="rowgroup" colspan="{len(table.columns)}">{title}</th></tr>']
        lines += [_html_row(row, table) for row in block.rows]
        lines += ["</tbody>"]
    lines += ["</table>", *(f'<p class="note">{escape.markup(note, LONG)}</p>' for note in table.notes)]
    return "\n".join(lines) + "\n"


def _heading(name: str, unsorted: bool, number: bool) -> str:
    kind = ' data-sort="none"' if unsorted else ' data-sort="number"' if number else ' data-sort="text"'
    return f'<th scope="col"{kind}>{escape.markup(name)}</th>'


def _html_row(row: Sequence[Cell], table: Table) -> str:
    first, *rest = zip(table.columns, row, strict=True)
    cells = [f'<th scope="row">{escape.markup(first[1].text)}</th>']
    for name, cell in rest:
        value = "" if cell.value is None or name in table.unsorted else f' data-value="{cell.value!r}"'
        cells += [f"<td{value}>{escape.markup(cell.text)}</td>"]
    return f"<tr>{''.join(cells)}</tr>"


def _titled(table: Table) -> list[tuple[str, bool]]:
    return list(zip(table.columns, _numeric(table), strict=True))


def _numeric(table: Table) -> list[bool]:
    return [any(row[i].value is not None for row in table.rows) for i in range(len(table.columns))]
