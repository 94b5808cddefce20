"""A page for each module of the four packages, from its docstrings; mkdocstrings reads them and runs nothing."""

import ast
from collections.abc import Iterator
from pathlib import Path

from bench.zoo import escaped
from docsite.markdown import ROOT, table

FOLDER = "reference/python"
PACKAGES = {
    "bench": "command line, protocols, scorer",
    "baselines": "networks, methods, training",
    "leaderboards": "records and tables",
    "converters": "the format and what is turned into it",
}


def pages() -> Iterator[tuple[str, str]]:
    """(place on the site, Markdown)."""
    lines = [(f"[{name}]({name}/index.md)", about) for name, about in PACKAGES.items()]
    text = "What each module offers, from its docstrings. Imports go down only: each package may use those below it."
    yield f"{FOLDER}/index.md", "\n\n".join(("# Python", text, table(("package", ""), lines))) + "\n"
    for package in PACKAGES:
        rows = []
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name == "__init__.py":
                continue
            dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            rows.append((f"[{dotted}]({dotted}.md)", escaped(_first(path))))
            yield (
                f"{FOLDER}/{package}/{dotted}.md",
                f"# {dotted}\n\nOne of [the modules of {package}](index.md).\n\n::: {dotted}\n",
            )
        yield f"{FOLDER}/{package}/index.md", f"# {package}\n\n{table(('module', ''), rows)}\n"


def _first(path: Path) -> str:
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
