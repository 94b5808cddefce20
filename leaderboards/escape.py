"""Text that anybody may have written, made harmless: one function per format."""

import html
import re
import unicodedata

LONGEST = 80  # characters of a name in a table for people
# What starts a formula in a spreadsheet, the wide forms of Japanese systems included; the apostrophe marks text.
_FORMULA = tuple("=+-@\t\r\n'＝＋－＠")
# Between letters an underscore is text; addresses would make links of themselves.
_MARKDOWN = re.compile(r"([\\`*\[\]|~$]|@(?=[\w.-]*\.)|(?<![^\W_])_|_(?![^\W_])|:(?=//)|(?<=www)\.)")
# Accents and letters that the oldest font encoding of TeX has too.
_ACCENTS = set("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327")
_LETTERS = set("ßæœøłÆŒØŁ")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    # A row that begins with a bracket or a star would be an argument of the \\ before it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    # Ligatures and babel's shorthands make other characters of these.
    '"': r"\symbol{34}",
    "'": r"\symbol{39}",
    "`": r"\symbol{96}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "–": r"\textendash{}",
    "…": r"\ldots{}",
    "†": r"\dag{}",
    "−": "$-$",
} | {character: f"\\{character}" for character in "{}$&#%_"}


def visible(text: str, longest: int = LONGEST) -> str:
    """Text that cannot move the cursor, turn the reading direction or flood the page."""
    shown = text if text.isprintable() else "".join(map(_seen, text))
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def _seen(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def markdown(text: str, longest: int = LONGEST) -> str:
    """Text as GitHub's Markdown shows it verbatim: no markup, no HTML, no new cell, no link."""
    plain = _MARKDOWN.sub(r"\\\1", visible(text, longest))
    return html.escape(plain, quote=False)


def latex(text: str, longest: int = LONGEST) -> str:
    """Text as LaTeX sets it verbatim, in any font encoding: no command, no cell, no accent, no ligature of dashes.

    Letters that pdfLaTeX sets without a package stay; others are shown as their code point, because they would stop it.
    """
    safe = "".join(_tex(character) for character in visible(text, longest))
    return re.sub(r"-(?=-)", "-{}", safe) if "--" in text else safe


def _tex(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    base, accents = unicodedata.normalize("NFD", character)[:1], unicodedata.normalize("NFD", character)[1:]
    latin = character <= "ſ" and base.isascii() and set(accents) <= _ACCENTS
    if latin or character in _LETTERS:
        return character
    return _LATEX["\\"] + character.encode("unicode_escape").decode()[1:]


def markup(text: str, longest: int = LONGEST) -> str:
    """Text for an element or a quoted attribute of HTML."""
    return html.escape(visible(text, longest), quote=True)


def cell(value: object) -> object:
    """A value for a CSV cell: text never starts a formula, a number stays one.

    The apostrophe in front says text to a spreadsheet; one that is there already gets a second, so that taking one away
    gives the text back.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
